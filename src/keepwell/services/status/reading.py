"""Reading the status of a data folder: what the serving processes say, what was verified and drilled, what is set.

A serving process reads it for its pages, and knows better of itself than its last report does; a command reads it when
a server runs, and otherwise looks itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from keepwell.ground.clock import Clock
from keepwell.model.errors import KeepwellError
from keepwell.services.drills import read_drills
from keepwell.services.incidents import Incidents
from keepwell.services.overrides import Overrides
from keepwell.services.status.judging import Facts, judge_status
from keepwell.services.status.reports import ProcessReport, ReportFiles
from keepwell.services.status.surveying import survey
from keepwell.services.status.values import Status
from keepwell.services.vaults import Vaults
from keepwell.services.verified import STORE_FOLDER, VerifiedFile
from keepwell.storage.contract import Store
from keepwell.storage.family import is_served

Thing = TypeVar("Thing")

KEPT_SECONDS: Final = 1.0
"""How long an answer is given again: a page may be asked for a thousand times a second."""


class StatusReader:
    """The status, for a process that serves. May be asked from several threads."""

    def __init__(self, data: Path, vaults: Vaults, clock: Clock, own: Callable[[], ProcessReport]) -> None:
        """Of this data folder; `own` is what this process knows itself."""
        self._data = data
        self._vaults = vaults
        self._clock = clock
        self._own = own
        self._kept: tuple[float, Status] | None = None

    def read(self) -> Status:
        """The status now, or of a second ago; never raises."""
        kept, now = self._kept, self._clock.monotonic()
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        own = self._own()
        others = [one for one in ReportFiles(self._data).read(self._clock.now()) if one.process != own.process]
        status = _judged(self._data, self._vaults, self._clock, [own, *others], served=True)
        self._kept = now, status
        return status


def status_of_folder(data: Path, vaults: Vaults, store: Store, clock: Clock) -> Status:
    """The status for a command: the server's when one runs, else what the vaults themselves show; never raises."""
    reports = ReportFiles(data).read(clock.now()) if is_served(data) else []
    if reports:
        return _judged(data, vaults, clock, reports, served=True)
    problems: tuple[str, ...] = ()
    try:
        reports = [survey(data, vaults, store, clock)]
    except KeepwellError as error:
        problems = (error.message,)
    return _judged(data, vaults, clock, reports, served=is_served(data), problems=problems)


def _judged(
    data: Path,
    vaults: Vaults,
    clock: Clock,
    reports: list[ProcessReport],
    *,
    served: bool,
    problems: tuple[str, ...] = (),
) -> Status:
    faults = list(problems)
    settings = _read(vaults.settings.all, faults)
    overrides, incidents = _read(Overrides(data).all, faults), _read(Incidents(data).all, faults)
    facts = Facts(
        now=clock.now(),
        served=served,
        settings=settings,
        reports=reports,
        verified={one.name: vaults.verified_file(one.name).read() for one in settings},
        store=VerifiedFile(data / STORE_FOLDER).read(),
        drills=read_drills(data),
        overrides=overrides,
        incidents=incidents,
        problems=tuple(dict.fromkeys(faults)),
    )
    return judge_status(facts)


def _read(read: Callable[[], tuple[Thing, ...]], faults: list[str]) -> tuple[Thing, ...]:
    """What is read, or nothing, and why that is."""
    try:
        return read()
    except KeepwellError as error:
        faults.append(error.message)
        return ()
