"""The memory fake passes the medium contract, and fails when it is told to."""

from __future__ import annotations

import pytest

from keepwell.model.errors import StorageFault
from keepwell.vault.medium import create_or_same
from keepwell.vault.memory_medium import MemoryMedium
from tests.vault.medium_suite import LogContract, MediumContract, log_of, names


class TestMemoryMedium(MediumContract, LogContract):
    @pytest.fixture
    def medium(self) -> MemoryMedium:
        return MemoryMedium()


class TestMemoryMediumWithoutLogs(MediumContract):
    @pytest.fixture
    def medium(self) -> MemoryMedium:
        return MemoryMedium(appends=False)

    def test_it_has_no_logs(self, medium: MemoryMedium) -> None:
        """Told not to append, it is like a bucket: asked for a log, it gives none."""
        assert medium.open_log("tails/one.jsonl") is None
        assert names(medium) == []


class FailsOnce:
    """A hook that raises at the first of these operations."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __call__(self, operation: str, name: str) -> None:
        if operation == self.operation:
            self.operation = ""
            raise StorageFault(f"{operation} {name} failed, as the test wants it")


def test_a_fault_before_leaves_nothing() -> None:
    """A fault put before an operation keeps it from being done."""
    medium = MemoryMedium()
    medium.before = FailsOnce("create")
    with pytest.raises(StorageFault):
        medium.create("packs/one", b"octets")
    assert names(medium) == []


def test_a_lost_answer_leaves_it_done() -> None:
    """A fault put after an operation is an answer that was lost; creating the same again finds it done."""
    medium = MemoryMedium()
    medium.after = FailsOnce("create")
    with pytest.raises(StorageFault):
        create_or_same(medium, "packs/one", b"octets")
    create_or_same(medium, "packs/one", b"octets")
    assert medium.read("packs/one") == b"octets"


@pytest.mark.parametrize("lost", [False, True], ids=["before", "after"])
def test_a_log_that_failed_is_dead(lost: bool) -> None:
    """After one failed append a log takes nothing more; what was appended last may be there."""
    medium = MemoryMedium()
    log = log_of(medium)
    log.append(b"kept\n")
    setattr(medium, "after" if lost else "before", FailsOnce("append"))
    for _ in range(2):
        with pytest.raises(StorageFault):
            log.append(b"last\n")
    log.close()
    assert medium.read("tails/one.jsonl").rstrip(b"\n") == (b"kept\nlast" if lost else b"kept")


class FailsSync:
    """A hook for the sync that fails at these operations."""

    def __init__(self, *operations: str) -> None:
        self.operations = operations

    def __call__(self, operation: str, name: str) -> None:
        if operation in self.operations:
            raise StorageFault(f"the sync of {operation} {name} failed, as the test wants it")


def test_what_was_synced_stays_after_a_cut() -> None:
    """What was created, removed and appended, and told as done, is so when the power was cut."""
    medium = MemoryMedium()
    medium.create("packs/one", b"octets")
    medium.create("packs/two", b"octets")
    medium.remove("packs/two")
    log_of(medium).append(b"line\n")
    medium.cut(lambda _most: 0)
    assert names(medium) == ["packs/one", "tails/one.jsonl"]
    assert medium.read("tails/one.jsonl").rstrip(b"\n") == b"line"


@pytest.mark.parametrize("stays", [0, 1])
def test_a_name_that_was_not_synced_comes_whole_or_not_at_all(stays: int) -> None:
    """It is seen by whoever reads; after a cut it is there whole, or not."""
    medium = MemoryMedium()
    medium.syncing = FailsSync("create")
    with pytest.raises(StorageFault):
        medium.create("packs/one", b"octets")
    assert medium.read("packs/one") == b"octets"
    medium.cut(lambda _most: stays)
    assert medium.exists("packs/one") is bool(stays)


@pytest.mark.parametrize("stays", [0, 1])
def test_a_removal_that_was_not_synced_may_be_undone(stays: int) -> None:
    """After a cut the object is gone, or there again."""
    medium = MemoryMedium()
    medium.create("packs/one", b"octets")
    medium.syncing = FailsSync("remove")
    with pytest.raises(StorageFault):
        medium.remove("packs/one")
    assert names(medium) == []
    medium.cut(lambda _most: stays)
    assert medium.exists("packs/one") is not bool(stays)


def test_a_sync_makes_every_name_of_the_folder_durable() -> None:
    """Also that of a create that was broken off before, and of one that finds its name taken."""
    medium = MemoryMedium()
    medium.syncing = FailsSync("create")
    for name in ("packs/one", "blobs/one"):
        with pytest.raises(StorageFault):
            medium.create(name, b"octets")
    medium.syncing = FailsSync()
    create_or_same(medium, "packs/one", b"octets")
    medium.cut(lambda _most: 0)
    assert names(medium) == ["packs/one"]


@pytest.mark.parametrize("stays", [0, 3, 5])
def test_an_append_that_was_not_synced_is_there_in_part(stays: int) -> None:
    """After a cut what was confirmed is there, and of the rest as much as the disk had written."""
    medium = MemoryMedium()
    log = log_of(medium)
    log.append(b"kept\n")
    medium.syncing = FailsSync("append")
    with pytest.raises(StorageFault):
        log.append(b"last\n")
    medium.create("tails/two.jsonl", b"")  # syncs names, never another's bytes
    medium.cut(lambda _most: stays)
    assert medium.read("tails/one.jsonl").rstrip(b"\n") == (b"kept\n" + b"last\n"[:stays]).rstrip(b"\n")


def test_bytes_of_a_log_that_was_removed_do_not_come_back() -> None:
    """Its name went for certain, whatever was under way in it."""
    medium = MemoryMedium()
    log = log_of(medium)
    medium.syncing = FailsSync("append")
    with pytest.raises(StorageFault):
        log.append(b"last\n")
    medium.remove("tails/one.jsonl")
    medium.cut(lambda most: most)
    assert names(medium) == []


def killed(_operation: str, _name: str) -> None:
    """A hook for the sync: the process ends before it."""
    raise KeyboardInterrupt


def test_bytes_whose_sync_failed_are_not_settled() -> None:
    """The system may have given them up, and a later sync returns all the same."""
    medium = MemoryMedium()
    log = log_of(medium)
    medium.syncing = FailsSync("append")
    with pytest.raises(StorageFault):
        log.append(b"last\n")
    medium.settle("tails/")
    medium.cut(lambda _most: 0)
    assert medium.read("tails/one.jsonl").rstrip(b"\n") == b""


def test_what_was_settled_stays_after_a_cut() -> None:
    """Names, and the bytes of logs, though whoever wrote them was killed before the sync."""
    medium = MemoryMedium()
    log = log_of(medium)
    log.append(b"kept\n")
    medium.syncing = killed
    with pytest.raises(KeyboardInterrupt):
        log.append(b"last\n")
    with pytest.raises(KeyboardInterrupt):
        medium.create("packs/one", b"octets")
    medium.syncing = lambda _operation, _name: None
    medium.settle("tails/")
    medium.cut(lambda _most: 0)
    assert medium.read("tails/one.jsonl").rstrip(b"\n") == b"kept\nlast"
    assert names(medium) == ["packs/one", "tails/one.jsonl"]


def test_a_bucket_has_nothing_that_is_not_synced() -> None:
    """What a store without logs took is durable at once."""
    medium = MemoryMedium(appends=False)
    medium.syncing = FailsSync("create")
    medium.create("packs/one", b"octets")
    medium.cut(lambda _most: 0)
    assert names(medium) == ["packs/one"]


def test_an_older_copy_is_put_back() -> None:
    """It is as it was when its objects were taken."""
    medium = MemoryMedium()
    medium.create("packs/one", b"octets")
    yesterday = medium.objects()
    medium.create("packs/two", b"octets")
    medium.put_back(yesterday)
    assert names(medium) == ["packs/one"]
