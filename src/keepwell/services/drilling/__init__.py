"""Drills: a vault is restored, served, signed in to and compared; and a fault is planted, which must be found."""
