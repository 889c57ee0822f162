"""Storage: what holds the accounts' journals and their projections. The contract is in `contract.py`."""
