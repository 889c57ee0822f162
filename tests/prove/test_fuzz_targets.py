"""What fuzzing checks with: every seed passes, and a product that breaks its promises does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prove.fuzz import contentlines, headers, journal_lines, queries, vault_objects, xml_request
from prove.fuzz.case import failure_of
from prove.fuzz.target import TARGETS, Broken, Target, TargetModule, bounded, target_named, words

from keepwell.dav.ranges import Span
from keepwell.formats.contentlines import Document
from keepwell.services.query.prefilter import CoarseCalendar
from keepwell.vault.lines import Line

SEED_OCTETS_MAX = 4096
SEEDS_MAX = 120

SEEDS = [(target, path) for target in TARGETS for path in sorted(target.corpus.iterdir())]


@pytest.mark.parametrize(("target", "path"), SEEDS, ids=[f"{target.name}/{path.name}" for target, path in SEEDS])
def test_every_seed_passes(target: Target, path: Path) -> None:
    """The files with which fuzzing begins, and those that once found something, break nothing."""
    target.load().check(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_corpora_are_small(target: Target) -> None:
    """A repository is no place for what a machine finds again within minutes."""
    sizes = [path.stat().st_size for path in target.corpus.iterdir()]
    assert 5 <= len(sizes) <= SEEDS_MAX
    assert max(sizes) <= SEED_OCTETS_MAX <= target.octets_max


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_has_words(target: Target) -> None:
    """None of them is empty, which libFuzzer would not take."""
    assert all(target.load().WORDS)


def broken_render(_document: Document) -> bytes:
    return b""


def broken_prefilter(_wanted: object) -> CoarseCalendar:
    return CoarseCalendar("VTODO")


def broken_ranges(_text: str, size: int) -> list[Span]:
    return [Span(0, size)]


def broken_document(_responses: object, _tail: str = "") -> str:
    return "<D:multistatus>"


def broken_lines(_octets: bytes) -> list[Line]:
    return []


def broken_frame(*_of: object) -> list[Line]:
    return []


@pytest.mark.parametrize(
    ("module", "name", "broken", "seed"),
    [
        (contentlines, "render", broken_render, "contentlines/card-3.vcf"),
        (queries, "coarse_calendar", broken_prefilter, "queries/month"),
        (xml_request, "document", broken_document, "xml-request/find-named"),
        (headers, "parse_ranges", broken_ranges, "headers/read"),
        (journal_lines, "pieces_of", broken_lines, "journal-lines/open"),
        (vault_objects, "read_frame", broken_frame, "vault-objects/pack"),
    ],
    ids=[target.name for target in TARGETS],
)
def test_a_broken_product_is_seen(
    module: TargetModule, name: str, broken: Callable[..., object], seed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each target fails when what it feeds does not keep its promise."""
    target = target_named(seed.partition("/")[0])
    octets = (target.corpus / seed.partition("/")[2]).read_bytes()
    module.check(octets)
    monkeypatch.setattr(module, name, broken)
    with pytest.raises((Broken, SyntaxError)):
        module.check(octets)


@pytest.mark.parametrize(("steps", "is_broken"), [(50, False), (200, True)])
def test_work_is_counted_in_steps(steps: int, is_broken: bool) -> None:
    """So many calls are too many, on whatever machine."""
    counted = next(octets for number in range(1000) if _is_counted(octets := b"%d" % number))

    def work() -> None:
        with bounded(counted, 100):
            for _ in range(steps):
                ord("a")

    if is_broken:
        with pytest.raises(Broken, match="more than 100 steps"):
            work()
    else:
        work()


def _is_counted(octets: bytes) -> bool:
    try:
        with bounded(octets, 0):
            ord("a")
    except Broken:
        return True
    return False


def test_words_stand_between_bars() -> None:
    """As targets write them."""
    assert words(b"a|b", b"c") == (b"a", b"b", b"c")


def test_a_finding_is_told_with_what_shows_it_again() -> None:
    """The failure of a case names the file that was found and the command that tries it again."""
    said = "#12 NEW cov: 1\nBroken: why\nINFO: x\nTest unit written to /tmp/w/crash-00\n"
    told = failure_of(target_named("headers"), 77, said)
    assert "python -m prove.fuzz headers /tmp/w/crash-00" in told
    assert "Broken: why" in told
    assert "INFO" not in told
