"""Networks: whose address is in one, however it is written."""

from __future__ import annotations

import pytest

from keepwell.model.errors import CannotStart
from keepwell.model.networks import is_within, parse_networks

OURS = parse_networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], "the proxies")


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("no address", False),
        ("", False),
    ],
)
def test_an_address_is_within_or_not(address: str, within: bool) -> None:
    """Also when a socket of IPv6 tells an IPv4 peer; what is no address is in no network."""
    assert is_within(address, OURS) is within


def test_what_is_no_network_stops_the_start() -> None:
    """The message says which setting, and the hint what would do."""
    with pytest.raises(CannotStart, match="the proxies") as caught:
        parse_networks(["10.0.0.0/8", "example.org"], "the proxies")
    assert "10.0.0.0/8" in caught.value.hint
