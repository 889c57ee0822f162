"""Networks of the internet protocol, and which addresses are in them; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from keepwell.model.errors import CannotStart

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Iterable[str], what: str) -> tuple[Network, ...]:
    """The networks of addresses or prefixes (`10.0.0.0/8`); `what` is said of one that is none. Raises CannotStart."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise CannotStart(
            f"{what} cannot be understood: {error}", hint="Give addresses or networks such as 10.0.0.0/8."
        ) from error


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks; what is no address is in none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket that listens on all of IPv6 tells IPv4 peers as ::ffff:192.0.2.1.
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in networks)
