"""Keepwell hosts people's personal data, does not lose it, and proves it."""

__version__ = "0.1.0"
