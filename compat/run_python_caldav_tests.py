"""Run python-caldav's own functional tests against a server, without any profile of exceptions.

Without a profile the library takes every feature to be there as the standards describe it, and
its tests assert exactly that. What Keepwell does not offer therefore fails here, and is explained below.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from compat.judgement import Explanation, judge
from compat.places import CACHE, install_programs, unpack_source
from compat.suite_run import report_and_exit, run_pytest
from compat.target import Target, read_target

SERVER = "keepwell"
NO_SCHEDULING = "asserts that the server sends invitations (RFC 6638), which Keepwell neither does nor announces"
LOWER_CASE = Explanation(
    "the suite's proxy marks an answer by replacing the text `Content-Type: ` in it; ours is written in lower case, "
    "which means the same (RFC 9110 section 5.1)",
    "where None = get('X-Data-Came-Through-Proxy')",
)

EXPLANATIONS: Mapping[str, Explanation] = {
    f"TestForServer{SERVER}::testSupport": Explanation(NO_SCHEDULING, "where False = check_scheduling_support()"),
    f"TestAsyncFor{SERVER}::test_support": Explanation(NO_SCHEDULING, "where True = is_supported('scheduling')"),
    f"TestForServer{SERVER}::testSchedulingMailboxes": Explanation(NO_SCHEDULING, "schedule-inbox-URL"),
    f"TestAsyncFor{SERVER}::test_scheduling_mailboxes": Explanation(
        NO_SCHEDULING + "; the library stumbles over it", "'function' object has no attribute 'url'"
    ),
    f"TestForServer{SERVER}::testCheckCompatibility": Explanation(
        NO_SCHEDULING + "; it is the only feature that is missed",
        "1 compatibility mismatch(es): scheduling: declared 'full', observed 'unsupported'",
    ),
    f"TestForServer{SERVER}::testChangeAttendeeStatusWithEmptyAddressSet": Explanation(
        "for servers whose principals have no calendar address; ours have one", "server populates"
    ),
    "TestProxy::testWithProxyParams": LOWER_CASE,
    "TestProxy::testWithProxyParamsWithoutScheme": LOWER_CASE,
    "TestProxy::testWithEnvironment": Explanation("switched off in the suite as work in progress", "work in progress"),
    "TestGetDAVClient::testAutoEmbeddedServer": Explanation(
        "tests how the suite starts a server of its own", "No module named 'xandikos'"
    ),
    "TestGetCalendarsConfig::test_multi_server_meta_section": Explanation(
        "tests two servers of the suite's own together", "need both Xandikos and Radicale"
    ),
}


def main() -> None:
    """Run the suite against the server named on the command line."""
    target = read_target(__doc__ or "")
    install_programs()
    folder = unpack_source("caldav", CACHE / "caldav", "tests")
    _write_server(folder, target)
    results = run_pytest(folder, _arguments(), {"PYTHON_CALDAV_TEST_DOCKER": "0"}, timeout_seconds=540)
    report_and_exit(judge("python-caldav functional tests", results, EXPLANATIONS), folder / "output.txt")


def _write_server(folder: Path, target: Target) -> None:
    server = {"type": "external", "url": target.url, "username": target.user, "password": target.password}
    servers = {"test-servers": {SERVER: server}}
    (folder / "tests" / "caldav_test_servers.json").write_text(json.dumps(servers))


def _arguments() -> list[str]:
    return [
        "tests/test_caldav.py",
        "tests/test_async_integration.py",
        "--timeout=120",
        # The suite calls a deprecated method of its own library and makes warnings errors.
        "-W",
        "default:principals:DeprecationWarning",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "--durations=15",
    ]


if __name__ == "__main__":
    main()
