"""Run vdirsyncer's own tests of its CalDAV and CardDAV storages against a server."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from compat.judgement import Explanation, judge
from compat.places import CACHE, ROOT, install_programs, unpack_source
from compat.suite_run import report_and_exit, run_pytest
from compat.target import Target, read_target

SERVER = "keepwell"
NOT_AN_EVENT = Explanation(
    "the test is about events; the suite skips its run for the other sorts of item", "doesn't support iCalendar"
)
FREE_NAMES = Explanation("the suite skips it for every DAV server: what a new collection is named is free", "Skipped")

EXPLANATIONS: Mapping[str, Explanation] = {
    "TestCalDAVStorage::test_recurring_events[VTODO]": NOT_AN_EVENT,
    "TestCardDAVStorage::test_recurring_events[VCARD]": NOT_AN_EVENT,
    "TestCalDAVStorage::test_empty_metadata": FREE_NAMES,
    "TestCardDAVStorage::test_empty_metadata": FREE_NAMES,
}


def main() -> None:
    """Run the suite against the server named on the command line."""
    target = read_target(__doc__ or "")
    install_programs()
    folder = _prepare()
    results = run_pytest(
        folder,
        ["tests/storage/dav", "-c", "pytest.ini", "--timeout=60"],
        _environment(target),
        timeout_seconds=300,
    )
    report_and_exit(judge("vdirsyncer storage tests", results, EXPLANATIONS), folder / "output.txt")


def _prepare() -> Path:
    folder = unpack_source("vdirsyncer", CACHE / "vdirsyncer", "tests")
    plugin = folder / "tests" / "storage" / "servers" / SERVER / "__init__.py"
    plugin.parent.mkdir()
    shutil.copyfile(ROOT / "compat" / "vdirsyncer_server.py", plugin)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return folder


def _environment(target: Target) -> dict[str, str]:
    return {
        "DAV_SERVER": SERVER,
        "COMPAT_URL": target.url,
        "COMPAT_USER": target.user,
        "COMPAT_PASSWORD": target.password,
    }


if __name__ == "__main__":
    main()
