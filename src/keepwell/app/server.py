"""Serving: claim the data folder, then run granian with worker processes until told to stop.

The folder is opened once before any worker starts, so that what is wrong with it is said by the command itself.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from keepwell.app.config import WORKER_VARIABLE, ServeOptions, check_options, render_options
from keepwell.app.look_back import Told
from keepwell.app.start import prepare
from keepwell.app.wiring import open_keepwell
from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.ground.process import (
    give_back_memory,
    keep_files_private,
    open_files_max,
    raise_file_limit,
    require_free_port,
)
from keepwell.model.errors import CannotStart
from keepwell.services.vault_settings import VaultSettings
from keepwell.storage.family import claim
from keepwell.storage.sqlite import files_of_accounts_max
from keepwell.vault.media import parse_url

HEADER_MILLISECONDS_MAX: Final = 30_000
"""How long a client may take to send its request's head."""

BACKLOG: Final = 2048

CONNECTIONS_MAX: Final = 32_768
"""Connections that a worker holds at once; the next ones wait for one of them to end."""

_CONNECTIONS_MIN: Final = 64
_OTHER_FILES: Final = 128
"""Files that are neither connections nor of open accounts."""


def serve(
    options: ServeOptions, *, on_claimed: Callable[[], None] = lambda: None, tell: Told = lambda _sentence: None
) -> None:
    """Serve until SIGTERM or SIGINT; `on_claimed` is called once nothing stands against it. Raises CannotStart.

    What the start found and mended is told first, a sentence each.
    """
    keep_files_private()
    raise_file_limit()
    family = base32_word(SystemEntropy(), 80)
    options = check_options(msgspec.structs.replace(options, data=options.data.absolute(), family=family))
    lock = claim(options.data, family)
    try:
        prepare(options.data, family, tell)
        with open_keepwell(options.data):
            pass
        _require_free_port(options)
        on_claimed()
        os.environ[WORKER_VARIABLE] = render_options(options)
        # What the start looked at is of no use to this process, and its workers begin as copies of it.
        give_back_memory()
        _let_workers_reach_buckets(options)
        with suppress(KeyboardInterrupt):
            _granian(options).serve()
    finally:
        lock.release()


def _let_workers_reach_buckets(options: ServeOptions) -> None:
    """Have workers started anew, which takes a second more, when a bucket was opened in this process.

    The library for buckets has threads of its own. A forked worker has what the library remembers of them and not the
    threads, and its first look at a bucket would never end.
    """
    settings = VaultSettings(options.data).all()
    if any(not isinstance(parse_url(one.url), Path) for one in settings):
        multiprocessing.set_start_method("spawn", force=True)


def _require_free_port(options: ServeOptions) -> None:
    try:
        require_free_port(options.host, options.port)
    except OSError as error:
        raise CannotStart(
            f"{options.host} port {options.port} cannot be listened on: {error.strerror or error}",
            hint="Stop what listens there, or choose another with --port.",
        ) from error


def connections_max() -> int:
    """How many connections a worker holds at once: whoever connects must not take the files that storing needs.

    Fewer than there may be are no help either. Connections that say nothing are closed after HEADER_MILLISECONDS_MAX,
    and until then nobody else would get in.
    """
    left = open_files_max() - files_of_accounts_max() - _OTHER_FILES
    return max(_CONNECTIONS_MIN, min(left, CONNECTIONS_MAX))


def _granian(options: ServeOptions) -> MPServer:
    return MPServer(
        "keepwell.app.asgi:make_application",
        factory=True,
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        workers=options.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=connections_max(),
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS_MAX),
        log_level=LogLevels.warning,
        ssl_cert=options.tls_cert,
        ssl_key=options.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    )
