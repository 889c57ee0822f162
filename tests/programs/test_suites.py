"""Other people's suites accept the server; what they do not accept is explained where it is judged."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from compat.places import ROOT

from tests.programs.accounts import Account

SUITES = ["run_caldav_server_tester", "run_python_caldav_tests", "run_vdirsyncer_storage_tests"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_accepts_the_server(suite: str, new_account: Callable[[], Account]) -> None:
    account = new_account()
    options = ["--url", account.dav, "--user", account.login, "--password", account.password]
    done = subprocess.run(
        [sys.executable, "-m", f"compat.{suite}", *options], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
