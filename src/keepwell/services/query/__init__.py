"""Queries: what the filters of CalDAV and CardDAV mean (RFC 4791 sections 7 and 9, RFC 6352 sections 8 and 10)."""
