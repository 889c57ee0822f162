"""The lossy disk: it keeps what was synced, whatever the seed, and shows orders that no journal would."""
