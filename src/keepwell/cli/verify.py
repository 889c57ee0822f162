"""`keepwell verify [NAME…]`: prove that vaults hold what they must, in the grade that is asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode, exit_code_of
from keepwell.cli.output import print_json, print_line, print_table, progress_bar
from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.entropy import SystemEntropy
from keepwell.model.errors import Damaged, KeepwellError, NotThere
from keepwell.model.weight import Weight
from keepwell.services.vaults import Vaults
from keepwell.services.verifying import Verifying
from keepwell.vault.findings import VaultFinding
from keepwell.vault.verify import Grade


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one vault; `fault` says why it could not be verified."""

    vault: str
    grade: Grade
    objects: int = 0
    octets: int = 0
    seconds: float = 0.0
    findings: tuple[VaultFinding, ...] = ()
    fault: str = ""


def verify(
    names: Annotated[list[str] | None, Parameter(name="NAME", help="Only these vaults.")] = None,
    /,
    *,
    grade: Annotated[
        Grade,
        Parameter(help="existence: all objects are there. content: every stored byte too. records: every account too."),
    ] = Grade.CONTENT,
    common: Common = DEFAULTS,
) -> int:
    """Prove that vaults hold what they must."""
    clock = SystemClock()
    vaults = Vaults(common.data, clock, SystemEntropy())
    known = [one.name for one in vaults.settings.all()]
    chosen = names or known
    if not chosen:
        raise NotThere("there is no vault to verify", hint="Add one: keepwell vault add NAME URL")
    for name in chosen:
        vaults.settings.named(name)
    answers, code = list[Answer](), ExitCode.OK
    for name in chosen:
        try:
            answers.append(_verified(vaults, name, grade, clock))
        except KeepwellError as error:  # it does not hold up the others
            answers.append(Answer(vault=name, grade=grade, fault=f"{error.message}. {error.hint}"))
            code = exit_code_of(error)
    if common.json:
        print_json({"vaults": answers})
    else:
        _print(answers)
    return ExitCode.DAMAGED if any(_damaged(answer) for answer in answers) else code


def _verified(vaults: Vaults, name: str, grade: Grade, clock: Clock) -> Answer:
    verifying = Verifying(vaults.verified_file, clock)
    began = clock.monotonic()
    try:
        vault = vaults.open(name)
    except Damaged as error:
        return Answer(vault=name, grade=grade, findings=(VaultFinding(name, f"{error.message}. {error.hint}"),))
    try:
        with progress_bar(f"Verifying {name}", unit="") as progress:
            found = verifying.verify(vault, grade, progress=progress)
    finally:
        vault.close()
    return Answer(
        vault=name,
        grade=grade,
        objects=found.objects,
        octets=found.octets,
        seconds=round(clock.monotonic() - began, 3),
        findings=tuple(found.findings),
    )


def _print(answers: list[Answer]) -> None:
    rows = [(one.weight, answer.vault, one.object, one.message) for answer in answers for one in answer.findings]
    if rows:
        print_table(("WEIGHT", "VAULT", "OBJECT", "WHAT"), rows)
    for answer in answers:
        if answer.fault:
            print_line(f"{answer.vault} could not be verified: {answer.fault}")
            continue
        what = f"{answer.objects:,} objects, {answer.octets:,} bytes in {answer.seconds:.1f} s"
        bad = _damaged(answer)
        result = f"{bad} things are damaged or missing" if bad else "all is well"
        print_line(f"{answer.vault}, grade {answer.grade}: {what}: {result}.")


def _damaged(answer: Answer) -> int:
    return sum(one.weight is Weight.DAMAGE for one in answer.findings)
