"""Every case of the proving ground, in the order of the report."""

from __future__ import annotations

from typing import Final

from prove import (
    both_damaged,
    clocks,
    corpus,
    crowds,
    faulty_objects,
    flipped_store,
    flipped_vault,
    full_disk,
    hostile_requests,
    huge_body,
    io_errors,
    killed_at_every_call,
    killed_under_load,
    power_cuts,
    s3_faults,
    second_servers,
    smuggling,
    unconfirmed,
    vault_faults,
)
from prove.case import Case
from prove.fuzz import case as fuzzing
from prove.lossy import case as lossy_disk
from prove.simulation import case as simulation

CASES: Final[tuple[Case, ...]] = (
    killed_under_load.CASE,
    killed_at_every_call.CASE,
    power_cuts.CASE,
    lossy_disk.CASE,
    io_errors.CASE,
    full_disk.CASE,
    vault_faults.CASE,
    unconfirmed.CASE,
    second_servers.CASE,
    clocks.CASE,
    s3_faults.CASE,
    *simulation.CASES,
    *fuzzing.CASES,
    hostile_requests.CASE,
    smuggling.CASE,
    corpus.CASE,
    huge_body.CASE,
    *crowds.CASES,
    flipped_vault.CASE,
    flipped_store.CASE,
    faulty_objects.CASE,
    both_damaged.CASE,
)
