"""What a child process does in the theatre: play a scene, or look at what one left, as a start and readers would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from prove.claims import Change, Claim, Digest, Expectation, Verdict, compare, learn
from prove.copies import heads_in_vaults, heads_of
from prove.direct import Served
from prove.operations import body_for
from prove.readback import Reader, Replica
from prove.scene import Scene
from prove.stage import Stage

Found = dict[str, Digest]
"""What there is, by its place."""
Json = dict[str, object]
Replicas = dict[str, list[Replica]]

ANY_CODE: Final = range(256)
LOST: Final = "acknowledged changes lost"
INVENTED: Final = "changes invented"


def rehearsed(stage: Stage, scene: Scene) -> Json:
    """Play a scene, and read everything behind each step where that can be done."""
    found: list[Found] = []
    reader = Reader(stage)
    with scene.within(stage):
        for step in scene.steps:
            step.do(stage)
            if scene.is_read:
                found.append({**reader.read()[0], **stage.facts()})
    return {"found": found}


def played(stage: Stage, scene: Scene, changes: Sequence[tuple[Change, ...]]) -> Json:
    """Play a scene, and claim what each step changes."""
    with scene.within(stage):
        for step, its in zip(scene.steps, changes, strict=True):
            groups = [its] if step.together else [(change,) for change in its]
            claims = [Claim("session", step.name, group) for group in groups if group]
            numbers = [stage.claims.intend(claim) for claim in claims]
            step.do(stage)
            for number, claim in zip(numbers, claims, strict=True):
                stage.claims.ended(number, claim, Verdict.OK, "")
    return {}


def look(stage: Stage, scene: Scene, before: Found | None, replicas: Replicas) -> Json:
    """Start the server on what the scene left, read everything, write a little, stop; then check, and compare copies.

    Without `before` nothing is compared with claims: what is there is told.
    """
    reader = Reader(stage, {path: list(kept) for path, kept in replicas.items()})
    with stage.serving() as served:
        wrong = _wrong_at_start(served, is_damaged=scene.damage is not None)
        facts = stage.facts()
        stage.passwords = {one: secret for one, secret in stage.passwords.items() if facts[f"login {one}"] == "enabled"}
        found, findings = reader.read()
        found |= facts
        if before is not None:
            findings += compare(_expected(stage, before), found)
        if reader.tokens_refused:
            wrong.append(f"{reader.tokens_refused} sync tokens of before were refused")
        wrong += _probe(stage)
    if scene.later is not None:
        scene.later(stage)
    return {
        "wrong": [*findings.lines(), *wrong, *_disagreeing(stage), *_told_by_check(stage), *_told_by_verify(stage)],
        "found": found,
        LOST: len(findings.lost) + len(findings.resurrected),
        INVENTED: len(findings.invented) + len(findings.torn),
        "tokens": reader.tokens_tried,
        "replicas": {path: [[one.token, one.members] for one in kept] for path, kept in reader.replicas.items()},
    }


def _wrong_at_start(served: Served, *, is_damaged: bool) -> list[str]:
    """A kill leaves nothing to bring back from a vault: the store always has it first."""
    done = served.caught_up
    wrong = [f"held at the start: {one}" for one in done.held.values()]
    wrong += [f"told at the start: {one}" for one in done.faults]
    wrong += [one for one in served.told if "cannot be used" in one or "held" in one]
    if not is_damaged and (done.extended or done.restored):
        wrong.append(f"the start brought back {done.extended} {done.restored}")
    return wrong


def _expected(stage: Stage, before: Found) -> Expectation:
    expectation = Expectation()
    expectation.settle(before)
    expectation.known.update(before.values())
    for path in stage.claims_before():
        learn(expectation, path)
    return expectation


def _probe(stage: Stage) -> list[str]:
    """Writes are taken again: one is acknowledged, read, and taken away."""
    wrong = []
    for login in stage.passwords:
        client, path = stage.client(login), f"/dav/contacts/{login}/contacts/probe.vcf"
        body = body_for(path, "Probe")
        answers = [client.ask("PUT", path, body), client.ask("GET", path), client.ask("DELETE", path)]
        statuses = [answer.status for answer in answers]
        if statuses not in ([201, 200, 204], [204, 200, 204]) or answers[1].body != body:
            wrong.append(f"PUT, GET and DELETE of {path} answered {statuses}")
    return wrong


def _disagreeing(stage: Stage) -> list[str]:
    """Store and vaults end with the same records, once the server has stopped."""
    here = heads_of(stage.data)
    return [
        f"vault {name} has {heads.get(account)} of {account}, the store {here.get(account)}"
        for name, heads in heads_in_vaults(stage.data).items()
        for account in sorted({*heads, *here})
        if heads.get(account) != here.get(account)
    ]


def _told_by_check(stage: Stage) -> list[str]:
    findings = json.loads(stage.command("check", "--json", code=ANY_CODE))["findings"]
    return [f"check: {one}" for one in findings if one["weight"] != "note"]


def _told_by_verify(stage: Stage) -> list[str]:
    if not heads_in_vaults(stage.data):
        return []
    answer = json.loads(stage.command("verify", "--grade", "records", "--json", code=ANY_CODE))
    findings = [one for vault in answer["vaults"] for one in vault["findings"]]
    faults = [f"verify: {vault['fault']}" for vault in answer["vaults"] if vault["fault"]]
    return [*faults, *(f"verify: {one}" for one in findings if one["weight"] != "note")]


def changes_of(scene: Scene, found: Sequence[Found]) -> list[tuple[Change, ...]]:
    """What each step changes: as it says, or as what was found before and after it shows."""
    if scene.is_read:
        return [_difference(one, other) for one, other in pairwise(found)]
    known = {change.place for step in scene.steps for change in step.changes or ()}
    rest = tuple(change for change in _difference(found[0], found[-1]) if change.place not in known)
    return [rest if step.changes is None else step.changes for step in scene.steps]


def _difference(one: Found, other: Found) -> tuple[Change, ...]:
    return tuple(
        Change(place, other.get(place)) for place in sorted({*one, *other}) if one.get(place) != other.get(place)
    )


def unlike(one: Found, other: Found) -> str:
    """In which places two differ."""
    return ", ".join(f"{change.place}: {one.get(change.place)} → {change.digest}" for change in _difference(one, other))


def applied(found: Found, changes: Sequence[tuple[Change, ...]]) -> Found:
    """What there is after these changes."""
    values: dict[str, Digest | None] = dict(found)
    for change in (change for step in changes for change in step):
        values[change.place] = change.digest
    return {place: digest for place, digest in values.items() if digest is not None}
