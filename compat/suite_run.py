"""Run the tests of somebody else's source archive with the environment they are installed into."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from compat.judgement import Judgement, TestResult, describe, read_junit
from compat.places import program


def run_pytest(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout_seconds: int
) -> list[TestResult]:
    """Run pytest in that folder and return what every test came to.

    Raises RuntimeError when pytest itself could not run, with the end of what it printed.
    """
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [str(program("python")), "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--junit-xml={report}", *arguments],
        cwd=folder,
        env=clean_environment(folder) | dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    if not report.exists():
        raise RuntimeError(f"pytest wrote no report:\n{(done.stdout + done.stderr)[-4000:]}")
    return read_junit(report)


def clean_environment(home: Path) -> dict[str, str]:
    """The environment for a program of others: nobody's settings, no proxy, times in UTC."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_PROXY": "*"}


def report_and_exit(judgement: Judgement, details: Path) -> None:
    """Print the summary and leave with 0 when it is accepted, else with 1 and where the details are."""
    print(describe(judgement))
    if not judgement.accepted:
        print(f"  details: {details}")
    sys.exit(0 if judgement.accepted else 1)
