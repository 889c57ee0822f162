"""One truth about copies: how many there are of each kind, what they are worth, and when that was last proven."""
