"""The judgement of other people's suites hides nothing."""

from compat.features import HEADING, Feature, judge_features, read_reasons
from compat.judgement import Explanation, TestResult, Verdict, describe, judge

GOOD = [Feature("sync-token.limit", "full"), Feature("sync-token.limit.initial-sync", "full")]

DOCUMENT = f"""# Compliance

{HEADING}

Some words before the table.

| feature | reason |
|---|---|
| `scheduling` | Keepwell sends no invitations. |

## Something else

| feature | reason |
|---|---|
| `sync-token` | not in this section |
"""


def test_a_failure_without_an_explanation_is_not_accepted() -> None:
    results = [TestResult("A::good", Verdict.PASSED), TestResult("A::bad", Verdict.FAILED, "assert 0 == 1")]
    judgement = judge("suite", results, {})
    assert not judgement.accepted
    assert "UNEXPLAINED: A::bad: assert 0 == 1" in describe(judgement)


def test_an_explained_failure_is_accepted_and_still_shown() -> None:
    results = [TestResult("A::good", Verdict.PASSED), TestResult("A::bad", Verdict.FAILED, "no invitations")]
    judgement = judge("suite", results, {"A::bad": Explanation("because", "no invitations")})
    assert judgement.accepted
    assert "failed, explained: A::bad: because" in describe(judgement)


def test_an_explanation_does_not_hide_another_fault_of_the_same_test() -> None:
    results = [TestResult("A::good", Verdict.PASSED), TestResult("A::bad", Verdict.FAILED, "500 instead of 207")]
    assert not judge("suite", results, {"A::bad": Explanation("because", "no invitations")}).accepted


def test_an_explanation_of_what_passes_is_not_accepted() -> None:
    judgement = judge("suite", [TestResult("A::good", Verdict.PASSED)], {"A::good": Explanation("because", "")})
    assert judgement.stale == ["A::good"]
    assert not judgement.accepted


def test_a_run_of_no_tests_is_not_accepted() -> None:
    assert not judge("suite", [], {}).accepted


def test_reasons_are_read_from_their_section_only() -> None:
    assert read_reasons(DOCUMENT) == {"scheduling": "Keepwell sends no invitations."}


def test_a_missing_feature_needs_a_reason() -> None:
    features = [*GOOD, Feature("scheduling", "unsupported")]
    assert judge_features(features, {"scheduling": "because"}).accepted
    assert not judge_features(features, {}).accepted


def test_no_reason_excuses_a_feature_that_misbehaves() -> None:
    for support in ("broken", "ungraceful", "fragile", "quirk", "unknown"):
        assert not judge_features([*GOOD, Feature("scheduling", support)], {"scheduling": "because"}).accepted


def test_no_reason_excuses_a_sync_without_limit() -> None:
    features = [Feature("sync-token.limit", "unsupported"), GOOD[1]]
    assert not judge_features(features, {"sync-token.limit": "because"}).accepted


def test_a_reason_for_a_feature_that_works_is_not_accepted() -> None:
    assert not judge_features([*GOOD, Feature("scheduling", "full")], {"scheduling": "because"}).accepted
