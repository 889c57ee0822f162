"""Salvaging: from fragments of damaged copies to a data folder that a server serves, and the report of what is lost."""
