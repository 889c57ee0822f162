"""What was erased is not missed, and does not come back, whichever way data comes back out of a vault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from keepwell.model.names import Kind
from tests.cli.command import KEEPWELL
from tests.services.retention.world import PHOTO, SECRET, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A card that was changed once and a photo, both erased since; another card."""
    made = World(tmp_path)
    made.add_vault()
    made.put("secret.vcf", SECRET)
    made.put("secret.vcf", SECRET + b"new")
    made.put("photo.jpg", PHOTO, Kind.PHOTOS, "photos")
    made.put("other.vcf", b"of somebody else")
    made.start()
    made.verify()
    made.mark(None)
    made.put("late.vcf", b"put after the mark")
    made.pass_days(7.1)
    made.verify()
    with made.opened() as keepwell:
        bert = keepwell.accounts.add("bert")
    made.put("mine.vcf", b"of bert", account=bert)
    assert made.retain().done
    made.start()
    return made


def keepwell(world: World, *words: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KEEPWELL_DATA": str(data or world.data), "XDG_STATE_HOME": str(world.folder / "state")}
    return subprocess.run([str(KEEPWELL), *words], env=environment, cwd=world.folder, capture_output=True, text=True)


def test_a_restore_misses_nothing_and_brings_nothing_to_light(world: World) -> None:
    """Exit code 0: everything came back that was to come back."""
    into = world.folder / "back"
    done = keepwell(world, "restore", "--from", str(world.folder / "near"), "--into", str(into), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [path for path in into.rglob("*") if path.is_file() and b"nmistakable" in path.read_bytes()]
    checked = keepwell(world, "check", "--json", data=into)
    assert checked.returncode == 0, checked.stdout
    notes = [one for one in json.loads(checked.stdout)["findings"] if one["place"] == "erased"]
    assert len(notes) == 2  # of the account, and of its documents in the system account


def test_a_salvage_misses_nothing_either(world: World) -> None:
    """From the vault alone."""
    into = world.folder / "salvaged"
    done = keepwell(world, "salvage", "--from", str(world.folder / "near"), "--into", str(into), "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_loss_report_counts_nothing_that_was_erased(world: World) -> None:
    """Nor does it for a store that lost the account."""
    assert keepwell(world, "report").returncode == 0
    next((world.data / "accounts").glob(f"??/{world.anna}.db")).unlink()
    lost = keepwell(world, "report", "--json")
    report = json.loads(lost.stdout)
    items = [item for one in report.get("accounts", ()) for item in one.get("items", ())]
    assert items == [], lost.stdout


def test_the_script_of_the_vault_misses_nothing(world: World) -> None:
    """Without any Keepwell: the item's last record is its removal, so nobody looks for its bytes."""
    vault = world.folder / "near"
    readme = (vault / "README.md").read_text()
    script = readme.split("```bash\n")[1].split("```")[0]
    (world.folder / "recover.sh").write_text(script)
    out = world.folder / "recovered"
    done = subprocess.run(
        ["bash", str(world.folder / "recover.sh"), str(out)], cwd=vault, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert next(out.glob("a_*/contacts/contacts/mine.vcf")).read_bytes() == b"of bert"


def test_the_whole_folder_can_be_lost(world: World) -> None:
    """With the vaults' settings left, a start brings all back but that."""
    shutil.rmtree(world.data / "accounts")
    shutil.rmtree(world.data / "blobs", ignore_errors=True)
    world.start()
    assert world.traces() == []
    assert world.damage() == []
    assert world.items() == []
