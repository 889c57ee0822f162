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
