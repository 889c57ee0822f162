"""Data folders and vaults of every version there was are read, verified, restored and served by this one, for ever."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from keepwell.app.start import prepare
from keepwell.ground.clock import SystemClock
from keepwell.ground.entropy import SystemEntropy
from keepwell.model.names import SYSTEM_ACCOUNT
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.services.upgrading.upgrade import Upgrading
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.keys import load_identities
from keepwell.vault.media import open_medium
from keepwell.vault.sealing import AgeSeal, PlainSeal
from keepwell.vault.vault import Vault, open_vault
from keepwell.vault.verify import Grade, verify
from tests.cli.command import KEEPWELL
from tests.golden.make import contents
from tests.support.server import running_server

GOLDEN = Path(__file__).parent
VERSIONS = sorted(path for path in GOLDEN.glob("v*") if path.is_dir())
VAULTS = ("plain", "sealed")


@dataclass(frozen=True)
class Golden:
    """One version's files, unpacked; `expected` is what must be in them."""

    source: Path
    folder: Path
    expected: dict[str, object]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def accounts(self) -> dict[str, dict[str, object]]:
        found = self.expected["accounts"]
        assert isinstance(found, dict)
        return found

    @property
    def people(self) -> list[str]:
        return [account for account in self.accounts if account != SYSTEM_ACCOUNT]


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    source = request.param
    expected = json.loads((source / "expected.json").read_text())
    for name in ("data", *VAULTS):
        with tarfile.open(source / f"{name}.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
    settings = tmp_path / "data" / "vaults" / "settings.json"
    settings.write_text(settings.read_text().replace(expected["folder"], str(tmp_path)))
    return Golden(source, tmp_path, expected)


def opened(golden: Golden, name: str) -> Iterator[Vault]:
    identities = load_identities(golden.source / "operator.key")
    medium = open_medium(str(golden.folder / name), name=name)

    def seal(document: object) -> PlainSeal | AgeSeal:
        recipients = getattr(document, "recipients", None)
        return PlainSeal() if recipients is None else AgeSeal(recipients.public_keys(), identities)

    with closing(open_vault(name, medium, seal, SystemClock())) as vault:
        vault.look()
        yield vault


def brought_up_to_date(data: Path) -> None:
    """To this version's format, when it is another."""
    clock, entropy = SystemClock(), SystemEntropy()
    Upgrading(data, Vaults(data, clock, entropy), clock, entropy).upgrade(override="a golden folder has no drill")


def found_in(data: Path) -> dict[str, object]:
    with closing(SqliteStore(data)) as store:
        return json.loads(json.dumps(contents(store)))  # type: ignore[no-any-return]


def damage_in(data: Path) -> list[str]:
    with closing(SqliteStore(data)) as store:
        checker = Checker(store)
        found = [one for account in checker.accounts() for one in checker.check(account)]
        found += checker.check_folder(data, store.blobs)
    return [f"{one.account} {one.place}: {one.message}" for one in found if one.weight is Weight.DAMAGE]


def keepwell(golden: Golden, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_STATE_HOME": str(golden.folder / "state")}
    return subprocess.run([str(KEEPWELL), *words], cwd=golden.folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_golden_files_never_change(version: Path) -> None:
    """They are what people have on their disks: whoever cannot read them any more does not mend them."""
    sums = dict(reversed(line.split("  ")) for line in (version / "SHA256SUMS").read_text().splitlines())
    there = {path.name: path for path in version.iterdir() if path.name != "SHA256SUMS"}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == sums
    assert len(VERSIONS) >= 1


def test_they_have_one_of_everything(golden: Golden) -> None:
    """Kinds, large bytes, what was dropped and erased, tails, sealed packs: so that reading them shows something."""
    kinds = {one[0] for account in golden.accounts.values() for one in account["collections"]}  # type: ignore[attr-defined]
    assert kinds == {"contacts", "calendar", "notes", "tasks", "photos", "scores", "system"}
    records = [one for account in golden.accounts.values() for one in account["records"]]  # type: ignore[attr-defined]
    assert any(erased for _hash, _digest, erased in records)
    assert list((golden.data / "blobs").glob("*/*"))
    assert list((golden.folder / "plain" / "tails").iterdir())
    assert list((golden.folder / "sealed" / "packs").glob("*.age"))


def test_a_data_folder_is_read_and_proven(golden: Golden) -> None:
    """Every record, byte, item and ledger is there; a projection that a later version makes otherwise is no damage."""
    brought_up_to_date(golden.data)
    assert damage_in(golden.data) == []
    assert found_in(golden.data) == golden.accounts


def test_a_data_folder_is_built_anew_from_its_journal(golden: Golden) -> None:
    """As an upgrade to a later format would."""
    brought_up_to_date(golden.data)
    clock, entropy = SystemClock(), SystemEntropy()
    upgrading = Upgrading(golden.data, Vaults(golden.data, clock, entropy), clock, entropy)
    upgrading.upgrade(rebuild=True, override="a golden folder has no drill")
    assert found_in(golden.data) == golden.accounts


@pytest.mark.parametrize("name", VAULTS)
def test_a_vault_is_verified(golden: Golden, name: str) -> None:
    """In the highest grade, with the operator's key."""
    for vault in opened(golden, name):
        found = verify(vault, Grade.RECORDS)
        assert found.is_whole, found.findings
        heads = {account: [head.sequence, head.hash] for account, head in vault.heads().items()}
        assert heads == {account: one["head"] for account, one in golden.accounts.items()}


@pytest.mark.parametrize("name", VAULTS)
def test_a_vault_is_restored(golden: Golden, name: str) -> None:
    """Into an empty place, equal to what it is a copy of, with nothing lost."""
    into = golden.folder / "restored"
    words = ["--from", str(golden.folder / name), "--into", str(into), "--key", str(golden.source / "operator.key")]
    done = keepwell(golden, "restore", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert damage_in(into) == []
    assert found_in(into) == golden.accounts


def test_a_vault_is_recovered_by_its_own_readme(golden: Golden) -> None:
    """With the script that this very vault brought along, and no Keepwell."""
    vault = golden.folder / "plain"
    script = golden.folder / "recover.sh"
    script.write_text((vault / "README.md").read_text().split("```bash\n")[1].split("```")[0])
    out = golden.folder / "recovered"
    done = subprocess.run(["bash", str(script), str(out)], cwd=vault, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    homes = {"calendar": "calendars", "tasks": "calendars", "notes": "calendars"}
    for account in golden.people:
        kinds = {one[1]: one[0] for one in golden.accounts[account]["collections"]}  # type: ignore[attr-defined]
        for collection, name, _uid, digest, _ in golden.accounts[account]["items"]:  # type: ignore[attr-defined]
            kind = kinds[collection]
            path = out / account / homes.get(kind, kind) / collection / name
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_a_start_heals_a_folder_that_lost_everything(golden: Golden) -> None:
    """From the vaults that its settings name; then they are written to as ever, and stay whole."""
    brought_up_to_date(golden.data)
    shutil.rmtree(golden.data / "accounts")
    shutil.rmtree(golden.data / "blobs")
    prepare(golden.data, "family", lambda _sentence: None)
    assert found_in(golden.data) == golden.accounts
    for name in VAULTS:
        for vault in opened(golden, name):
            assert verify(vault, Grade.RECORDS).is_whole
            assert vault.epoch == 0


@pytest.mark.parametrize(
    ("collection", "name"), [("contacts/anna/contacts", "bob.vcf"), ("photos/anna/photos/holiday", "sunset.jpg")]
)
def test_a_data_folder_is_served(golden: Golden, collection: str, name: str) -> None:
    """The password that a phone has signs in, and an item is what it was."""
    brought_up_to_date(golden.data)
    token = base64.b64encode(f"anna:{golden.expected['password']}".encode()).decode()
    with running_server(golden.data) as server:
        address = f"{server.dav}{collection}/{name}"
        request = urllib.request.Request(address, headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
    items = [one for account in golden.people for one in golden.accounts[account]["items"]]  # type: ignore[attr-defined]
    assert hashlib.sha256(body).hexdigest() in [one[3] for one in items if one[1] == name]
