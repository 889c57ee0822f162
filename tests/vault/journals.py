"""Small journals for tests of vaults: records as a store would seal them, without a store."""

from __future__ import annotations

from collections.abc import Sequence

from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Properties, Record, digest_of, seal
from keepwell.storage.contract import Carried
from keepwell.storage.memory_transaction import replayed
from keepwell.vault.lines import render_line
from keepwell.vault.pack import LedgerNote, Run, note_of

ANNA = AccountId("a_annaannaannaanna")
BERT = AccountId("a_bertbertbertbert")
LINEAGE = Lineage("lineagelineage22")


class Journal:
    """An account's journal in the making; every call adds a record."""

    def __init__(self, account: AccountId = ANNA) -> None:
        self.account = account
        self.carried: list[Carried] = []
        self.add(Op.OPEN)
        self.add(Op.MAKE, Kind.CONTACTS, "friends", properties={"displayname": "Friends"})

    def add(
        self,
        op: Op,
        kind: Kind | None = None,
        collection: str = "",
        name: str = "",
        *,
        body: bytes | None = None,
        properties: Properties | None = None,
    ) -> Record:
        before = self.carried[-1].record.hash if self.carried else GENESIS
        facts = Facts(
            account=self.account,
            at=f"2026-11-23T08:00:{len(self.carried) % 60:02}.000000Z",
            by="test",
            collection=collection,
            digest=None if body is None else digest_of(body),
            kind=kind,
            lineage=LINEAGE,
            media_type="" if body is None else "text/vcard",
            name=name,
            op=op,
            prev=before,
            properties=properties,
            seq=len(self.carried) + 1,
            size=None if body is None else len(body),
            uid=name,
        )
        self.carried.append(Carried(seal(facts), body))
        return self.carried[-1].record

    def put(self, name: str, body: bytes = b"body") -> Record:
        return self.add(Op.PUT, Kind.CONTACTS, "friends", name, body=body)

    def remove(self, name: str) -> Record:
        return self.add(Op.REMOVE, Kind.CONTACTS, "friends", name)

    def ledger(self, last: int | None = None) -> dict[Kind, LedgerNote]:
        """What the records up to `last` come to, as a store would say."""
        records = [one.record for one in self.carried[:last]]
        return note_of(replayed(self.account, LINEAGE, records).ledger())

    def run(
        self,
        first: int = 1,
        last: int | None = None,
        *,
        lines: Sequence[bytes] | None = None,
        blobs: Sequence[str] = (),
        ledger: dict[Kind, LedgerNote] | None = None,
    ) -> Run:
        """Records `first` to `last` as what becomes a frame; with `lines` in place of those that bring every byte."""
        chosen = self.carried[first - 1 : last]
        facts = chosen[0].record.facts
        return Run(
            account=self.account,
            lineage=LINEAGE,
            first=facts.seq,
            last=chosen[-1].record.facts.seq,
            prev=facts.prev,
            head=chosen[-1].record.hash,
            since=facts.at,
            until=chosen[-1].record.facts.at,
            lines=b"".join([render_line(one) for one in chosen] if lines is None else lines),
            ledger={Kind.CONTACTS: (chosen[-1].record.facts.seq, 0, "0" * 64)} if ledger is None else ledger,
            blobs=tuple(blobs),
        )
