"""What an operator can set, and how it reaches the worker processes (one environment variable, as JSON)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from keepwell.model.errors import CannotStart
from keepwell.model.networks import Network, parse_networks

DATA_VARIABLE: Final = "KEEPWELL_DATA"
"""The environment variable that names the data folder when no option does."""

WORKER_VARIABLE: Final = "KEEPWELL_WORKER_OPTIONS"
"""Internal: how the server tells its workers what they serve."""

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080


DRILL_HOURS: Final = 24.0
LOOPBACK: Final = ("127.0.0.0/8", "::1")

WITNESS_VARIABLE: Final = "KEEPWELL_WITNESS"
"""The environment variable that names the witness file when it is not to be where programs keep their state."""


def witness_path(data: Path) -> Path:
    """Where the heads of this data folder are noted: outside it, so that an older copy of it does not bring them."""
    named, state = os.environ.get(WITNESS_VARIABLE), os.environ.get("XDG_STATE_HOME")
    if named:
        return Path(named)
    name = f"{hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]}.jsonl"
    try:
        folder = Path(state) if state else Path("~/.local/state").expanduser()
    except RuntimeError:  # a user without a home, as containers have
        return data.absolute().with_name(f".keepwell-{name}")
    return folder / "keepwell" / name


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve.

    `trusted_proxies` are addresses or networks whose X-Forwarded-* headers are believed, `metrics_from` those whose
    clients may read `/metrics`. Each vault is drilled every `drill_hours`; never when that is 0.
    """

    data: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    workers: int = 1
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    metrics_from: tuple[str, ...] = LOOPBACK
    drill_hours: float = DRILL_HOURS
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
    trusted_proxies_of(options)
    metrics_networks_of(options)
    return options


def trusted_proxies_of(options: ServeOptions) -> tuple[Network, ...]:
    """Whose X-Forwarded-* headers are believed. Raises CannotStart."""
    return parse_networks(options.trusted_proxies, "a trusted proxy")


def metrics_networks_of(options: ServeOptions) -> tuple[Network, ...]:
    """Whose clients may read the metrics. Raises CannotStart."""
    return parse_networks(options.metrics_from, "a network that metrics are for")


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
