"""litmus, the test suite for WebDAV servers: every test passes, none is left out, every warning is explained."""

import re
import subprocess
from pathlib import Path

from compat.places import system_program
from compat.suite_run import clean_environment

from tests.programs.accounts import Account

# How many tests each part of litmus 0.13 has; a run that does fewer has not shown what it should.
PARTS = {"basic": 16, "copymove": 13, "props": 30, "http": 4}

EXPLAINED_WARNINGS = {
    "server does not claim Class 2 compliance": "Keepwell has no LOCK, and does not announce what it has not",
    "DELETE removed collection resource with Request-URI including fragment; unsafe": (
        "a request target has no fragment (RFC 9112 section 3.2); the HTTP layer cuts it off before anybody sees it"
    ),
}

WARNING = re.compile(r"WARNING: (.*)")
SUMMARY = re.compile(r"<- summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed")


def run_litmus(folder: Path, account: Account) -> str:
    command = [str(system_program("litmus")), "-k", account.photos, account.login, account.password]
    environment = clean_environment(folder) | {"TESTS": " ".join(PARTS)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.stdout.replace("\r", "\n") + done.stderr


def test_every_test_of_litmus_passes(home: Path, account: Account) -> None:
    output = run_litmus(home, account)
    counts = {part: (int(run), int(passed), int(failed)) for part, run, passed, failed in SUMMARY.findall(output)}
    assert counts == {part: (number, number, 0) for part, number in PARTS.items()}, output
    assert set(WARNING.findall(output)) <= set(EXPLAINED_WARNINGS), output
    assert "SKIPPED" not in output, output
