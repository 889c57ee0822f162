"""Where a browser reached this server, so that a page can tell people what to type into their programs.

The Host header is anybody's words: one that is not plainly a host and a port is not repeated on a page.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

_PORT_OF: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Scheme, host name (an IPv6 address in brackets) and port of this server as the browser knows it."""

    scheme: str
    name: str
    port: int

    @property
    def host(self) -> str:
        """The name, with the port when it is not the scheme's own."""
        return self.name if self.port == _PORT_OF[self.scheme] else f"{self.name}:{self.port}"

    @property
    def base(self) -> str:
        """The server's URL without a slash at its end."""
        return f"{self.scheme}://{self.host}"

    @property
    def is_encrypted(self) -> bool:
        """Whether passwords travel encrypted."""
        return self.scheme == "https"

    @property
    def is_this_machine(self) -> bool:
        """Whether only programs on the same machine reach this address."""
        if self.name == "localhost" or self.name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.name.strip("[]")).is_loopback
        except ValueError:
            return False


def address_of(request: Request) -> Address:
    """The address in the request's Host header, or where the server listens when that is not fit to be shown."""
    scheme = "https" if request.scope["scheme"] == "https" else "http"
    match = _HOST.fullmatch(request.headers.get("host", ""))
    if match is None:
        return _listening(request, scheme)
    return Address(scheme, match["name"].lower(), int(match["port"] or _PORT_OF[scheme]))


def _listening(request: Request, scheme: str) -> Address:
    name, port = request.scope.get("server") or ("localhost", None)
    shown = f"[{name}]" if ":" in name else name
    return Address(scheme, shown, port or _PORT_OF[scheme])
