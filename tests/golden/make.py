"""Makes the golden files of this version: a data folder, a plain and an encrypted vault, and what must be in them.

    python -m tests.golden.make tests/golden/v1

Run once for each version whose formats changed, before it is released, and never again: what lies in `v1` is what
people have on their disks. A later format gets a folder of its own beside it.

Clock and words come from seeds, and the folder is always the same, so two runs differ only in what `age` draws.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import socket
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from pyrage.x25519 import Identity

from keepwell.app.retaining import retain
from keepwell.app.start import prepare
from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.ground.entropy import base32_word
from keepwell.model.erasures import Scope
from keepwell.model.names import HOME_OF, AccountId, Home, Kind, Lineage
from keepwell.model.record import Op, Properties, digest_of
from keepwell.services.indexing import index_again
from keepwell.services.verifying import Verifying
from keepwell.storage.contract import Entry, Store, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.keys import make_drill_key, make_keys, render_key_file
from keepwell.vault.layout import tail_name
from keepwell.vault.ship import line_of
from keepwell.vault.tail import Tail
from keepwell.vault.verify import Grade
from tests.support.clock import FakeClock, SeededEntropy

FOLDER: Final = Path("/tmp/keepwell-golden")
"""Always the same: its name is in the files."""
VAULTS: Final = ("plain", "sealed")
PHOTO: Final = b"\xff\xd8 a photo of a sunset \x00\xff" * 5300
SECRET: Final = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:secret\r\nFN:Erased Person\r\nEND:VCARD\r\n"


def card(uid: str, name: str, more: str = "") -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\nFN:{name}\r\n{more}END:VCARD\r\n".encode()


def component(name: str, uid: str, summary: str, more: str = "") -> bytes:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//golden//EN\r\n"
        f"BEGIN:{name}\r\nUID:{uid}\r\nDTSTAMP:20261101T080000Z\r\n{more}SUMMARY:{summary}\r\nEND:{name}\r\nEND:VCALENDAR\r\n"
    ).encode()


EVENT: Final = "DTSTART:20261124T100000Z\r\nDTEND:20261124T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=5\r\n"
LATIN: Final = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:jos\r\nN:;;;;\r\nFN:José\r\nEND:VCARD\r\n".encode("latin-1")
CONTROL: Final = card("control", "Bell \x07 Ringer")


class Maker:
    """The folder in the making; time passes with every question."""

    def __init__(self) -> None:
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.data = FOLDER / "data"
        self.clock = FakeClock(step_seconds=0.25)
        self.entropy = SeededEntropy(2009)
        self.accounts: dict[str, AccountId] = {}
        self.password = ""

    def start(self) -> None:
        family = base32_word(self.entropy, 80)
        prepare(self.data, family, lambda _sentence: None, clock=self.clock, entropy=self.entropy)

    def make(self) -> None:
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            for login, name in (("anna", "Anna Ångström"), ("bert", "Bert"), ("gone", "To Be Erased")):
                self.accounts[login] = keepwell.accounts.add(login, name)
            self.password = keepwell.accounts.add_password("anna", "golden phone")
            keepwell.accounts.add_password("gone", "its phone")
            self._fill(keepwell)
        self._add_vaults()
        self._change_and_remove()
        self._erase()
        self._confirm_by_tails()

    def _fill(self, keepwell: Keepwell) -> None:
        anna, bert, gone = (self.accounts[one] for one in ("anna", "bert", "gone"))
        contacts = (Kind.CONTACTS, "contacts")
        put(keepwell, anna, *contacts, "bob.vcf", card("bob", "Bob"))
        put(keepwell, anna, *contacts, "jos.vcf", LATIN)
        put(keepwell, anna, *contacts, "control.vcf", CONTROL)
        put(keepwell, anna, *contacts, "odd\nname \N{RAINBOW} %.vcf", card("odd", "Odd Name"))
        put(keepwell, anna, *contacts, "secret.vcf", SECRET.encode())
        put(keepwell, anna, Kind.CALENDAR, "calendar", "weekly.ics", component("VEVENT", "weekly", "Weekly", EVENT))
        put(keepwell, anna, Kind.TASKS, "tasks", "task.ics", component("VTODO", "task", "A task"))
        put(keepwell, anna, Kind.NOTES, "notes", "note.ics", component("VJOURNAL", "note", "A note"))
        change(keepwell, anna, Op.MAKE, Kind.PHOTOS, "photos/holiday", {"displayname": "Holiday"})
        put(keepwell, anna, Kind.PHOTOS, "photos/holiday", "sunset.jpg", PHOTO)
        put(keepwell, anna, Kind.PHOTOS, "photos", "small.bin", b"\x00\x01\xfe\xff")
        change(keepwell, anna, Op.MAKE, Kind.SCORES, "bricks", {"displayname": "Bricks"})
        put(keepwell, anna, Kind.SCORES, "bricks", "best", b'{"score":4711}')
        dead = {"displayname": "Contacts", "{urn:x}colour": '<c xmlns="urn:x">blue</c>'}
        change(keepwell, anna, Op.SET, Kind.CONTACTS, "contacts", dead)
        put(keepwell, bert, *contacts, "same.vcf", card("bob", "Bob"))
        put(keepwell, gone, *contacts, "friend.vcf", card("friend", "A Friend of Theirs"))
        keepwell.accounts.grant("anna", Home.CONTACTS, "contacts", "bert", write=True)

    def _add_vaults(self) -> None:
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            keepwell.vaults.add("plain", str(FOLDER / "plain"), keepwell.store, confirm=True)
            keys = make_keys(make_drill_key(keepwell.vaults.settings.folder("sealed"), "sealed"))
            sealed = keepwell.vaults.add("sealed", str(FOLDER / "sealed"), keepwell.store, recipients=keys.recipients())
            keepwell.vaults.settings.replace(msgspec.structs.replace(sealed, confirmed=True))
        self.operator: Identity = keys.operator
        self.start()

    def _change_and_remove(self) -> None:
        anna, bert = self.accounts["anna"], self.accounts["bert"]
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            put(keepwell, anna, Kind.CONTACTS, "contacts", "bob.vcf", card("bob", "Bob", "TEL:+1 555 0100\r\n"))
            change(keepwell, anna, Op.REMOVE, Kind.CONTACTS, "contacts", name="control.vcf")
            change(keepwell, anna, Op.MAKE, Kind.CONTACTS, "dropped", {})
            put(keepwell, anna, Kind.CONTACTS, "dropped", "x.vcf", card("x", "Ex"))
            change(keepwell, anna, Op.DROP, Kind.CONTACTS, "dropped")
            change(keepwell, anna, Op.MAKE, Kind.CONTACTS, "dropped", {"displayname": "Made again"})
            word = Lineage(base32_word(self.entropy, 80))
            begin = {"reason": "a golden file has one of everything"}
            submit(keepwell, bert, lambda transaction: transaction.begin_lineage(word, "operator", begin))
        self.start()

    def _erase(self) -> None:
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            scope = Scope(Home.CONTACTS, "contacts", "secret.vcf")
            keepwell.retention.mark_request(self.accounts["anna"], scope, reason="golden", override="")
            keepwell.retention.mark_request(self.accounts["gone"], None, reason="golden", override="")
            keepwell.retention.mark_history(365, 1000)
        self.clock.advance(8 * 86_400)
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            verifying = Verifying(keepwell.vaults.verified_file, self.clock)
            for name in VAULTS:
                with closing(keepwell.vaults.open(name)) as vault:
                    found = verifying.verify(vault, Grade.RECORDS)
                    if not found.is_whole:
                        raise SystemExit(f"{name}: {found.findings}")
        if len(retain(self.data, clock=self.clock, entropy=self.entropy).done) != 2:
            raise SystemExit("not everything was erased")

    def _confirm_by_tails(self) -> None:
        """The last record is in no pack."""
        bert = self.accounts["bert"]
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            vaults = [keepwell.vaults.open_to_write(name) for name in VAULTS]
            before = vaults[0].head(bert).sequence
            body = card("late", "Confirmed By A Tail")
            entry = Entry(Op.PUT, "test", Kind.CONTACTS, "contacts", "late.vcf", "late", "", digest_of(body), len(body))
            keepwell.store.account(bert).transact([lambda transaction: transaction.append(entry, body)])
            with keepwell.store.account(bert).reading() as snapshot:
                carried = list(snapshot.carried(before))
            for vault in vaults:
                name = tail_name(vault.epoch, base32_word(self.entropy, 80))
                log = vault.medium.open_log(name)
                if log is None:
                    raise SystemExit("a folder has logs")
                with closing(Tail(name, log, vault.seal)) as tail:
                    last = carried[-1].record
                    lines = b"".join(line_of(one, vault.put_blob, []) for one in carried)
                    tail.append(lines, {bert: (last.facts.seq, last.hash)})
                vault.close()


def submit(keepwell: Keepwell, account: AccountId, work: object) -> None:
    keepwell.writers.submit(account, work).result()  # type: ignore[arg-type]


def put(keepwell: Keepwell, account: AccountId, kind: Kind, collection: str, name: str, body: bytes) -> None:
    found = re.search(rb"UID:(\w+)", body)
    uid, media_type = (found[1].decode(), "text/plain") if found else ("", "application/octet-stream")
    entry = Entry(Op.PUT, "app-password:golden", kind, collection, name, uid, media_type, digest_of(body), len(body))
    index = index_again(HOME_OF[kind], body)
    submit(keepwell, account, lambda transaction: transaction.append(entry, body, index))


def change(
    keepwell: Keepwell,
    account: AccountId,
    op: Op,
    kind: Kind,
    collection: str,
    properties: Properties | None = None,
    *,
    name: str = "",
) -> None:
    def work(transaction: Transaction) -> None:
        transaction.append(Entry(op, "operator", kind, collection, name, properties=properties))

    submit(keepwell, account, work)


def contents(store: Store) -> dict[str, object]:
    """Everything that must be there: each account's end, ledger, items with their bytes, and records."""
    found: dict[str, object] = {}
    for account in store.accounts():
        with store.account(account).reading() as snapshot:
            found[account] = {
                "head": [snapshot.head().sequence, snapshot.head().hash],
                "lineage": snapshot.lineage(),
                "ledger": {
                    kind: [one.seq, one.count, one.set_hash_text] for kind, one in sorted(snapshot.ledger().items())
                },
                "collections": [[one.kind, one.name, one.properties] for one in snapshot.collections()],
                "items": [
                    [one.name, item.name, item.uid, item.digest, digest_of(body)]
                    for one in snapshot.collections()
                    for item, body in snapshot.items_with_bodies(one.id)
                ],
                "records": [
                    [one.record.hash, None if one.body is None else digest_of(one.body), one.erased]
                    for one in snapshot.carried()
                ],
            }
    return found


def archive(folder: Path) -> bytes:
    """The folder as a tar file under xz, without whose it was and when."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return None if info.name.endswith((".lock", "access.db")) else info

    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w:xz", preset=9) as tar:
        tar.add(folder, folder.name, filter=plain)
    return octets.getvalue()


def main(into: Path) -> None:
    socket.gethostname = lambda: "golden"
    maker = Maker()
    maker.make()
    into.mkdir(parents=True)
    with closing(SqliteStore(maker.data)) as store:
        expected = {"folder": str(FOLDER), "password": maker.password, "accounts": contents(store)}
    (into / "expected.json").write_bytes(msgspec.json.format(msgspec.json.encode(expected), indent=1) + b"\n")
    (into / "operator.key").write_text(render_key_file(maker.operator, "A key for tests: it opens nobody's vault."))
    for name in ("data", *VAULTS):
        (into / f"{name}.tar.xz").write_bytes(archive(FOLDER / name))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(into.iterdir())]
    (into / "SHA256SUMS").write_text("".join(sums))
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
