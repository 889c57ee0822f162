"""The JSON face at `/api/v1/`: resources over HTTP with the semantics of JMAP (RFC 8620), described by OpenAPI 3.1."""
