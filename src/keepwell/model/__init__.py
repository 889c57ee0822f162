"""The model: names, records, the hash chain, the ledger, preconditions, the error tree. Pure."""
