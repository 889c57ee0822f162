"""`keepwell serve`: serve the data folder until told to stop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from keepwell.app.config import DEFAULT_HOST, DEFAULT_PORT, DRILL_HOURS, LOOPBACK, ServeOptions
from keepwell.app.server import serve as serve_folder
from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.output import print_json, print_line, print_notice, shown


def serve(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, Parameter(help="The port to listen on.")] = DEFAULT_PORT,
    workers: Annotated[int, Parameter(help="Server processes.")] = 1,
    tls_cert: Annotated[Path | None, Parameter(help="The certificate chain for TLS, a PEM file.")] = None,
    tls_key: Annotated[Path | None, Parameter(help="The key of the certificate, a PEM file.")] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="An address or network whose X-Forwarded-For and -Proto headers are believed; may be repeated.",
        ),
    ] = None,
    metrics_from: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="An address or network whose clients may read /metrics, else this machine; may be repeated.",
        ),
    ] = None,
    drill_hours: Annotated[
        float, Parameter(validator=validators.Number(gte=0), help="How often each vault is drilled; 0: never.")
    ] = DRILL_HOURS,
    log_requests: Annotated[bool, Parameter(help="Write a line for each request to standard error.")] = True,
    common: Common = DEFAULTS,
) -> None:
    """Serve the data folder to phones and programs, until SIGTERM or Ctrl-C."""
    options = ServeOptions(
        data=common.data,
        host=host,
        port=port,
        workers=workers,
        tls_cert=tls_cert,
        tls_key=tls_key,
        trusted_proxies=tuple(trusted_proxy or ()),
        drill_hours=drill_hours,
        metrics_from=tuple(metrics_from or LOOPBACK),
        log_requests=log_requests,
    )
    serve_folder(options, on_claimed=lambda: _announce(_url(options), common), tell=print_notice)


def _announce(url: str, common: Common) -> None:
    """Say where, now that nothing stands against it: whoever reads this may connect."""
    if common.json:
        print_json({"url": url, "data": str(common.data)})
    else:
        print_line(f"Keepwell serves {shown(str(common.data))} at {url} (stop with Ctrl-C)")
    sys.stdout.flush()


def _url(options: ServeOptions) -> str:
    scheme = "http" if options.tls_cert is None else "https"
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{options.port}/"
