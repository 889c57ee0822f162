"""Compare what a suite reported with what is explained, so that nothing fails or is skipped silently.

An explanation is a promise in both directions: what is explained must really fail or be skipped, and
with the sign that the explanation names, so that it cannot hide another fault; and what passes must not be
explained. So an explanation that has become stale fails the run too.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What became of one test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of a suite; `note` says why it failed or was skipped, in the suite's words."""

    __test__ = False

    name: str
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a test may fail or be skipped, and the words its note must contain to be that case."""

    reason: str
    sign: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results of a suite, divided by whether somebody has to look at them."""

    suite: str
    passed: Sequence[TestResult]
    explained: Sequence[tuple[TestResult, str]]
    unexplained: Sequence[TestResult]
    stale: Sequence[str]

    @property
    def accepted(self) -> bool:
        """Whether everything passed or is explained, and every explanation is needed."""
        return bool(self.passed) and not self.unexplained and not self.stale


def judge(suite: str, results: Sequence[TestResult], explanations: Mapping[str, Explanation]) -> Judgement:
    """Divide the results by the explanations, which are keyed by test name."""
    passed = [result for result in results if result.verdict is Verdict.PASSED]
    explained: list[tuple[TestResult, str]] = []
    unexplained: list[TestResult] = []
    for result in results:
        explanation = explanations.get(result.name)
        if result.verdict is Verdict.PASSED:
            continue
        if explanation is None or explanation.sign not in result.note:
            unexplained.append(result)
        else:
            explained.append((result, explanation.reason))
    needed = {result.name for result in (*(result for result, _ in explained), *unexplained)}
    stale = sorted(set(explanations) - needed)
    return Judgement(suite, passed, explained, unexplained, stale)


def describe(judgement: Judgement) -> str:
    """The summary that a run prints: counts first, then every test that did not simply pass."""
    lines = [f"{judgement.suite}: {_counts(judgement)}"]
    lines += [f"  {result.verdict}, explained: {result.name}: {why}" for result, why in judgement.explained]
    lines += [
        f"  {result.verdict}, UNEXPLAINED: {result.name}: {_first_line(result)}" for result in judgement.unexplained
    ]
    lines += [f"  STALE explanation, nothing failed or was skipped: {name}" for name in judgement.stale]
    return "\n".join(lines)


def _counts(judgement: Judgement) -> str:
    others = [result for result, _ in judgement.explained] + list(judgement.unexplained)
    failed = sum(result.verdict is Verdict.FAILED for result in others)
    skipped = sum(result.verdict is Verdict.SKIPPED for result in others)
    return f"{len(judgement.passed)} passed, {failed} failed, {skipped} skipped"


def _first_line(result: TestResult) -> str:
    return result.note.strip().partition("\n")[0][:200]


def read_junit(report: Path) -> list[TestResult]:
    """The results in a report that pytest wrote with `--junit-xml`, in the order they ran."""
    cases = ElementTree.parse(report).getroot().iter("testcase")  # our own file, written a moment ago
    return [_read_case(case) for case in cases]


def _read_case(case: ElementTree.Element) -> TestResult:
    owner = case.get("classname", "").rpartition(".")[2]
    name = f"{owner}::{case.get('name', '')}"
    for tag, verdict in (("failure", Verdict.FAILED), ("error", Verdict.FAILED), ("skipped", Verdict.SKIPPED)):
        found = case.find(tag)
        if found is not None:
            return TestResult(name, verdict, found.get("message", ""))
    return TestResult(name, Verdict.PASSED)
