"""The DAV face: WebDAV, CalDAV and CardDAV over the library (RFC 4918, 4791, 6352 and their relatives)."""
