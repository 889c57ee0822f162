"""Run caldav-server-tester against a server and judge every feature it probes.

Two features are only probed under the right conditions: `well-known` when the host is not called
localhost, 127.0.0.1 or ::1 (127.0.0.2 is the same machine and will do), and `url.encode-at.literal.principal`
when the login contains an `@`.
"""

import ast
import subprocess
import sys

from compat.features import Feature, describe_features, judge_features, read_reasons
from compat.places import CACHE, ROOT, install_programs, program
from compat.suite_run import clean_environment
from compat.target import Target, read_target


def main() -> None:
    """Run the tester against the server named on the command line."""
    target = read_target(__doc__ or "")
    install_programs()
    features = _read_features(_run_tester(target))
    document = ROOT / "docs" / "COMPLIANCE.md"
    reasons = read_reasons(document.read_text() if document.exists() else "")
    judgement = judge_features(features, reasons)
    print(describe_features(judgement))
    sys.exit(0 if judgement.accepted else 1)


def _run_tester(target: Target) -> str:
    folder = CACHE / "caldav-server-tester"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(program("caldav-server-tester")),
        f"--caldav-url={target.url}",
        f"--caldav-username={target.user}",
        f"--caldav-password={target.password}",
        "--format=hints",
    ]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(folder), capture_output=True, text=True, timeout=300
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        sys.exit(f"caldav-server-tester stopped with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def _read_features(report: str) -> list[Feature]:
    """The features in a report of the form `hints`: a Python literal of dictionaries."""
    hints = ast.literal_eval(report)
    return [_read_feature(name, hint) for name, hint in sorted(hints.items()) if "support" in hint]


def _read_feature(name: str, hint: dict[str, str]) -> Feature:
    return Feature(name, hint["support"], hint.get("behaviour") or hint.get("description") or "")


if __name__ == "__main__":
    main()
