"""A restore that is stopped, at whatever step: there is no folder, or the whole one, and the next run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keepwell.model.errors import AlreadyThere
from keepwell.services.indexing import index_again
from keepwell.services.restoring import place as place_module
from keepwell.services.restoring import restore as restore_module
from keepwell.services.restoring.restore import RestoreOrder
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.sqlite import SqliteStore
from tests.vault.journals import ANNA, BERT
from tests.vault.restores import journal_in, journal_of, put_photo, records_of, restored, server_vault
from tests.vault.test_restore import assert_sound


class StoppedError(Exception):
    """The process ended here."""


def stop_at(patch: pytest.MonkeyPatch, owner: object, name: str, *, call: int = 1, after: bool = False) -> None:
    """End the restore at a call of a function, before or after it does its work."""
    original: Callable[..., object] = getattr(owner, name)
    calls = 0

    def stopping(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise StoppedError
        result = original(*arguments, **options)
        if calls == call:
            raise StoppedError
        return result

    patch.setattr(owner, name, stopping)


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the folder was made": lambda patch: stop_at(patch, place_module, "write_file"),
    "the folder says what it is": lambda patch: stop_at(patch, place_module, "write_file", after=True),
    "before the logins": lambda patch: stop_at(patch, SqliteStore, "restore"),
    "after the logins": lambda patch: stop_at(patch, SqliteStore, "restore", after=True),
    "after one account": lambda patch: stop_at(patch, SqliteStore, "restore", call=2, after=True),
    "before large bytes": lambda patch: stop_at(patch, FileBlobs, "put"),
    "after one large object": lambda patch: stop_at(patch, FileBlobs, "put", after=True),
    "after all large objects": lambda patch: stop_at(patch, FileBlobs, "put", call=2, after=True),
    "before it is finished": lambda patch: stop_at(patch, place_module, "_write_note", call=2),
    "when it is finished": lambda patch: stop_at(patch, place_module, "_write_note", call=2, after=True),
    "before the rename": lambda patch: stop_at(patch, Path, "rename", call=3),
    "before the folder above is synced": lambda patch: stop_at(patch, place_module, "sync_folder"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_stop_at_any_step_leaves_nothing_or_the_whole(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place is not there (or empty as before), or sound; and running it again gives the whole."""
    anna, bert = journal_of(ANNA), journal_of(BERT)
    put_photo(anna, "sea.jpg")
    put_photo(anna, "hill.jpg", b"\xff\xd8 hill " * 20_000)
    server_vault(tmp_path / "near", anna, bert)
    into = tmp_path / "into"
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        with pytest.raises(StoppedError):
            restored(RestoreOrder(into), tmp_path / "near")
    assert into.exists() == (step == "before the folder above is synced")
    if into.exists():
        assert_sound(into, ANNA, BERT)
    assert restored(RestoreOrder(into), tmp_path / "near").loss is None
    assert_sound(into, ANNA, BERT)
    assert journal_in(into) == records_of(anna)
    assert not (tmp_path / "into.restoring").exists()


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run proves what the first one made, and makes only what is missing."""
    server_vault(tmp_path / "near", journal_of(ANNA), journal_of(BERT))
    into = tmp_path / "into"
    with monkeypatch.context() as patch:
        stop_at(patch, SqliteStore, "restore", call=3)
        with pytest.raises(StoppedError):
            restored(RestoreOrder(into), tmp_path / "near")
    made: list[object] = []
    original = SqliteStore.restore

    def counting(store: SqliteStore, account: object, *arguments: object, **options: object) -> object:
        made.append(account)
        return original(store, account, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteStore, "restore", counting)
    restored(RestoreOrder(into), tmp_path / "near")
    assert made == [BERT]


def test_temporary_files_of_a_killed_run_are_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was half built when the process died does not stay in the finished folder."""
    server_vault(tmp_path / "near", journal_of(ANNA))
    into = tmp_path / "into"
    with monkeypatch.context() as patch:
        stop_at(patch, SqliteStore, "restore", call=2, after=True)
        with pytest.raises(StoppedError):
            restored(RestoreOrder(into), tmp_path / "near")
    stray = next((tmp_path / "into.restoring" / "accounts").iterdir()) / ".tmp-a_x-abc.db"
    stray.write_bytes(b"half")
    restored(RestoreOrder(into), tmp_path / "near")
    assert list(into.rglob(".tmp-*")) == []


def test_a_damaged_account_of_an_earlier_run_is_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found is proven again, not believed: a file that lost its end is made anew."""
    anna = journal_of(ANNA, 10)
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    with monkeypatch.context() as patch:
        stop_at(patch, restore_module.Restoring, "_fetch_large")
        with pytest.raises(StoppedError):
            restored(RestoreOrder(into), tmp_path / "near")
    store = SqliteStore(tmp_path / "into.restoring")
    store.set_aside(ANNA)
    store.restore(ANNA, anna.carried[:8], index_again)
    store.close()
    assert restored(RestoreOrder(into), tmp_path / "near").loss is None
    assert journal_in(into) == records_of(anna)
    assert not (into / "set-aside").exists()


def test_an_account_that_was_damaged_since_an_earlier_run_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails meanwhile is noticed: what was made is not put in place unread."""
    anna = journal_of(ANNA, 40)
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    with monkeypatch.context() as patch:
        stop_at(patch, restore_module.Restoring, "_fetch_large")
        with pytest.raises(StoppedError):
            restored(RestoreOrder(into), tmp_path / "near")
    (file,) = (tmp_path / "into.restoring").glob(f"accounts/??/{ANNA}.db")
    octets = bytearray(file.read_bytes())
    for page in range(1, len(octets) // 4096):
        octets[page * 4096 + 2000] ^= 1
    file.write_bytes(octets)
    assert restored(RestoreOrder(into), tmp_path / "near").loss is None
    assert_sound(into, ANNA)


def test_a_kill_while_the_folder_is_labelled_leaves_what_the_next_run_takes(tmp_path: Path) -> None:
    """There is a temporary file in it and nothing else; what another made there is still refused."""
    anna = journal_of(ANNA)
    server_vault(tmp_path / "near", anna)
    building = tmp_path / "into.restoring"
    building.mkdir()
    (building / ".tmp-4711-0123456789ab").write_bytes(b'{"restore"')
    (building / "mine").write_bytes(b"mine")
    with pytest.raises(AlreadyThere):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    (building / "mine").unlink()
    assert restored(RestoreOrder(tmp_path / "into"), tmp_path / "near").loss is None
    assert_sound(tmp_path / "into", ANNA)
    assert list((tmp_path / "into").glob(".tmp-*")) == []
