"""Upgrading a data folder: refused without a proven copy, built beside what is there, compared, switched, undone."""
