"""A simulation of Keepwell in one thread: store, shipper, vault and restore over the memory fakes, with every fault
that may hit them between two durable effects.

`tasks` runs the product's own code as tasks that pause at each effect and go on in whatever order is chosen; `server`
puts a server's processes together from the product's parts; `disk`, `clients`, `restores` and `world` are what lies
around them, `events` what may happen to it, faults above all; `schedule` makes one history of that from choices, and
`checks` says what must hold after each start. Where choices come from is `choices`: a seed, hypothesis, or an
enumeration (`exhaustive`).

The same choices make the same history, to the octet.
"""
