"""The ground: the only fsync, the only clock, the only randomness of the program."""
