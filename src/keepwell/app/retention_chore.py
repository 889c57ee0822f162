"""How a server's keeper carries out orders to erase: it leads each on, with the vaults that its links have open."""

from __future__ import annotations

from typing import Final

import structlog

from keepwell.services.confirming import Confirming
from keepwell.services.keeper import Chore
from keepwell.services.retention.retention import Retention
from keepwell.storage.contract import Store
from keepwell.vault.erasing import Emptied
from keepwell.vault.ship import pack_tails

RETENTION_SECONDS: Final = 60.0

_log = structlog.get_logger()


def retention_chore(retention: Retention, confirming: Confirming, store: Store) -> Chore:
    """The keeper's chore."""

    def carry_out() -> None:
        retention.look_at_clock()
        if not retention.is_anything_due():
            return
        links = confirming.links
        against = retention.against({link.name: link.fault.message if link.fault else "" for link in links})
        if against:
            _log.warning("retention.refused", reasons=against)
        gone = retention.advance(against)
        for link in links:
            if link.fault is None:
                emptied = retention.erase_in(link.vault, against)
                if emptied.waiting:
                    link.roll()
                    pack_tails(link.vault, store)
                _tell(link.name, emptied)
        for order in retention.finish():
            _log.info("retention.erased", order=order.id, cause=order.cause)
        if gone:
            _log.info("retention.dropped", bodies=gone)

    return Chore("retention", RETENTION_SECONDS, carry_out)


def _tell(vault: str, emptied: Emptied) -> None:
    if not emptied.is_clean:
        _log.info("vault.emptied", vault=vault, packs=emptied.packs, blobs=emptied.blobs, waiting=emptied.waiting)
