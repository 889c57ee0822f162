"""Restoring: from what vaults have to a data folder that is proven equal to their ledgers."""
