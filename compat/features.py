"""Judge what caldav-server-tester found, feature by feature.

A feature must be there in full. It may be missing only when `docs/COMPLIANCE.md` says why, in a table
under the heading `HEADING`, with one row `| feature | reason |` each. A feature that is listed but works
fails the judgement as well, so that the document cannot become wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEADING = "## caldav-server-tester: unsupported features"
REQUIRED = ("sync-token.limit", "sync-token.limit.initial-sync")
FULL = "full"
UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature as the tester saw it; `support` is its word for how well it works."""

    name: str
    support: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class FeatureJudgement:
    """All features, and one sentence for each thing that is not as it has to be."""

    features: Sequence[Feature]
    explained: Sequence[tuple[Feature, str]]
    complaints: Sequence[str]

    @property
    def accepted(self) -> bool:
        """Whether every feature works or is explained."""
        return bool(self.features) and not self.complaints


def read_reasons(document: str) -> dict[str, str]:
    """The features that the compliance document explains as unsupported, with their reasons."""
    _, found, rest = document.partition(HEADING)
    if not found:
        return {}
    section = rest.partition("\n## ")[0]
    rows = [_cells(line) for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row[1] for row in rows if _explains(row)}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _explains(row: Sequence[str]) -> bool:
    return len(row) == 2 and row[0].lower() != "feature" and not set(row[0]) <= set(":- ") and bool(row[1])


def judge_features(features: Sequence[Feature], reasons: Mapping[str, str]) -> FeatureJudgement:
    """Divide the features into good, explained and to be looked at."""
    explained: list[tuple[Feature, str]] = []
    complaints: list[str] = []
    for feature in features:
        if feature.support == UNSUPPORTED and feature.name in reasons and feature.name not in REQUIRED:
            explained.append((feature, reasons[feature.name]))
        elif feature.support != FULL:
            complaints.append(f"{feature.name} is {feature.support}: {feature.note or 'no note'}")
    seen = {feature.name for feature in features}
    complaints += [f"{name} was not probed" for name in REQUIRED if name not in seen]
    needed = {feature.name for feature, _ in explained}
    complaints += [f"{name} is explained as unsupported, but is not" for name in sorted(set(reasons) - needed)]
    return FeatureJudgement(features, explained, complaints)


def describe_features(judgement: FeatureJudgement) -> str:
    """The summary that a run prints: how many of each sort, then the explained, then the complaints."""
    sorts = sorted({feature.support for feature in judgement.features})
    counts = [f"{sum(f.support == sort for f in judgement.features)} {sort}" for sort in sorts]
    lines = ["caldav-server-tester: " + ", ".join(counts)]
    lines += [f"  {feature.support}, explained: {feature.name}: {why}" for feature, why in judgement.explained]
    lines += [f"  UNEXPLAINED: {complaint}" for complaint in judgement.complaints]
    return "\n".join(lines)
