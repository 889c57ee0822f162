"""What an operator can set, and how it reaches the worker processes (one environment variable, as JSON)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

import msgspec

from keepwell.model.errors import CannotStart

DATA_VARIABLE: Final = "KEEPWELL_DATA"
"""The environment variable that names the data folder when no option does."""

WORKER_VARIABLE: Final = "KEEPWELL_WORKER_OPTIONS"
"""Internal: how the server tells its workers what they serve."""

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve. `trusted_proxies` are addresses or networks whose X-Forwarded-* headers are believed."""

    data: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    workers: int = 1
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    log_requests: bool = True
    family: str = ""


def check_options(options: ServeOptions) -> ServeOptions:
    """The options, when they make sense. Raises CannotStart."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise CannotStart("TLS needs a certificate and its key", hint="Give both --tls-cert and --tls-key.")
    for path in (options.tls_cert, options.tls_key):
        if path is not None and not path.is_file():
            raise CannotStart(f"{path} is not a file", hint="Give a PEM file.")
    if not 1 <= options.workers <= 64:
        raise CannotStart(f"{options.workers} workers cannot be", hint="Use 1 to 64.")
    if not 1 <= options.port <= 65535:
        raise CannotStart(f"{options.port} is not a port", hint="Use 1 to 65535.")
    parse_networks(options.trusted_proxies)
    return options


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks of addresses or prefixes (`10.0.0.0/8`). Raises CannotStart."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise CannotStart(
            f"a trusted proxy cannot be understood: {error}", hint="Give addresses or networks such as 10.0.0.0/8."
        ) from error


def render_options(options: ServeOptions) -> str:
    """For the environment variable."""
    return msgspec.json.encode(options, enc_hook=str).decode()


def parse_options(text: str) -> ServeOptions:
    """From the environment variable."""
    return msgspec.json.decode(text, type=ServeOptions, dec_hook=_decode_path)


def _decode_path(expected: type, value: object) -> object:
    if expected is Path:
        return Path(str(value))
    raise NotImplementedError(f"no way to read a {expected}")
