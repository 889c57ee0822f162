"""Vaults: independent copies that prove themselves and can be read without Keepwell; see docs/VAULT_FORMAT.md."""
