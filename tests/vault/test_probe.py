"""The probe refuses media that lie, each with its reason, and lets through media that only stumble."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prove.s3 import OPEN_BUCKET, S3Server
from prove.s3_proxy import Fault, fault_proxy

from keepwell.model.errors import AlreadyThere, StorageFault, UnfitMedium
from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium, ObjectInfo
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.probe import probe
from tests.support.clock import SeededEntropy
from tests.vault.medium_suite import names


class Replacing(MemoryMedium):
    """Takes the condition and ignores it."""

    def create(self, name: str, octets: bytes) -> None:
        self.remove(name)
        super().create(name, octets)


class ReplacingQuietly(MemoryMedium):
    """Says that it refuses, and replaces."""

    def create(self, name: str, octets: bytes) -> None:
        if self.exists(name):
            self.replace(name, octets)
            raise AlreadyThere(name)
        super().create(name, octets)


class LateReading(MemoryMedium):
    """Gives back what was there before."""

    def read(self, name: str) -> bytes:
        return super().read(name)[:-1]


class LateListing(MemoryMedium):
    """Lists all but the last."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter(list(super().list(prefix))[:-1])


class StaleListing(MemoryMedium):
    """Lists what was removed."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: list[ObjectInfo] = []

    def remove(self, name: str) -> None:
        self.removed += [one for one in super().list() if one.name == name]
        super().remove(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        found = [*super().list(prefix), *(one for one in self.removed if one.name.startswith(prefix))]
        return iter(sorted(found, key=lambda one: one.name))


class WholeForPart(MemoryMedium):
    """Knows no ranges."""

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        return self.read(name)


class RacingFromTheStart(MemoryMedium):
    """Looks, then writes: of two at once both win."""

    def create(self, name: str, octets: bytes) -> None:
        if name.endswith("/race"):
            self.remove(name)
        super().create(name, octets)


class RacingForNothing(MemoryMedium):
    """Of two at once it takes neither, and has something else there."""

    def create(self, name: str, octets: bytes) -> None:
        super().create(name, b"another" if name.endswith("/race") else octets)


class LateExisting(MemoryMedium):
    """What was removed is said to be there for some time."""

    def exists(self, name: str) -> bool:
        return super().exists(name) or not name.endswith("/0")


class LateForgetting(MemoryMedium):
    """What was removed can be read for some time."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: dict[str, bytes] = {}

    def remove(self, name: str) -> None:
        if self.exists(name):
            self.removed[name] = self.read(name)
        super().remove(name)

    def read(self, name: str) -> bytes:
        return self.removed[name] if name in self.removed else super().read(name)


def names_in(medium: MemoryMedium) -> list[str]:
    """What is there, whatever the medium lists."""
    return [one.name for one in MemoryMedium.list(medium)]


@pytest.mark.parametrize(
    ("lying", "reason"),
    [
        (Replacing, "takes a second object"),
        (ReplacingQuietly, "changes the first"),
        (LateReading, "just written"),
        (LateListing, "a listing is not what was just written"),
        (StaleListing, "what is left"),
        (WholeForPart, "gives others"),
        (RacingFromTheStart, "more than one"),
        (RacingForNothing, "keeps another"),
        (LateExisting, "still has an object"),
        (LateForgetting, "still has an object"),
    ],
)
def test_a_medium_that_lies_is_refused_with_the_reason(lying: Callable[[], MemoryMedium], reason: str) -> None:
    """What a vault relies on and does not get is told, and nothing of the probe stays."""
    medium = lying()
    with pytest.raises(UnfitMedium, match=reason) as caught:
        probe(medium, SeededEntropy())
    assert "If-None-Match" in caught.value.hint
    assert names_in(medium) == []


def test_a_medium_that_fails_is_not_called_unfit() -> None:
    """A fault while probing is that fault: another day it may be fit."""
    medium = MemoryMedium()

    def fail(operation: str, name: str) -> None:
        if operation == "list":
            raise StorageFault(f"{operation} {name} failed, as the test wants it")

    medium.before = fail
    with pytest.raises(StorageFault):
        probe(medium, SeededEntropy())
    medium.before = MemoryMedium().before
    assert names_in(medium) == []


def test_probes_at_once_do_not_meet(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another probe left behind, or is about to remove, is not looked at."""
    medium = vault(s3.new_url(), monkeypatch)
    medium.create("probe/left-behind/0", b"octets")
    probe(medium, SeededEntropy(1))
    probe(medium, SeededEntropy(2))
    assert names(medium) == ["probe/left-behind/0"]


def test_a_real_store_that_ignores_the_condition_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that accepts `If-None-Match` and ignores it cannot hold a vault; the same store that keeps it can."""
    with fault_proxy(s3.endpoint) as proxy:
        medium = vault(s3.new_url(bucket=OPEN_BUCKET, endpoint=proxy.url), monkeypatch)
        probe(medium, SeededEntropy())
        proxy.fault(Fault.IGNORE_CONDITION, "PUT")
        with pytest.raises(UnfitMedium, match="takes a second object"):
            probe(medium, SeededEntropy())
        assert names(medium) == []


def test_a_real_store_that_stumbles_is_fit(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost answers and passing failures are no reason to refuse a store."""
    with fault_proxy(s3.endpoint) as proxy:
        medium = vault(s3.new_url(endpoint=proxy.url), monkeypatch)
        for fault in (Fault.STORE_THEN_500, Fault.STORE_THEN_DROP, Fault.ANSWER_500):
            proxy.fault(fault, "PUT", times=1)
            probe(medium, SeededEntropy())


def vault(url: str, monkeypatch: pytest.MonkeyPatch) -> Medium:
    for name, value in S3Server.environment().items():
        monkeypatch.setenv(name, value)
    return open_medium(url, name="test")
