"""Services: what Keepwell does for an actor, without knowing any protocol."""
