"""Every command is there, quick to start, and ends with a code of the table; no error is a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keepwell.cli import main as cli_main
from keepwell.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from keepwell.model import errors
from tests.cli.command import KEEPWELL, Command

COMMANDS = (
    *(("serve",), ("import",), ("export",), ("history",), ("rewind",), ("check",), ("access",)),
    *(("account", verb) for verb in ("add", "list", "disable", "enable")),
    *(("app-password", verb) for verb in ("add", "list", "revoke")),
    *(("grant", verb) for verb in ("add", "list", "remove")),
)


def test_the_help_imports_nothing_heavy() -> None:
    """What a command needs is imported when it runs, so that the help is there at once."""
    script = "import sys; from keepwell.cli.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert imported & {"apsw", "granian", "icalendar", "jinja2", "lxml", "obstore", "pyrage", "starlette"} == set()


def test_the_help_lists_commands_and_exit_codes(command: Command) -> None:
    """A person finds every command and what each exit code means."""
    output = " ".join(command.must("--help").output.split())
    for words in COMMANDS:
        assert words[0] in output
    for code, meaning in MEANINGS.items():
        assert f"{code:d} {meaning}" in output


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_takes_data_and_json(command: Command, words: tuple[str, ...]) -> None:
    """The common options are the same everywhere."""
    output = command.must(*words, "--help").output
    assert "--data" in output
    assert "KEEPWELL_DATA" in output
    assert "--json" in output


def test_the_version_is_told(command: Command) -> None:
    """As one line."""
    assert command.must("--version").output.startswith("keepwell ")


def test_every_error_has_a_code() -> None:
    """Each error of the tree ends a command with a code of the table, none with the one for faults."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.KeepwellError) and kind is not errors.KeepwellError:
            error = kind.__new__(kind)
            assert exit_code_of(error) in set(ExitCode) - {ExitCode.OK, ExitCode.INTERNAL}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nonsense",), ExitCode.USAGE),
        (("account", "add"), ExitCode.USAGE),
        (("account", "add", "NOT A LOGIN"), ExitCode.USAGE),
        (("rewind", "anna", "--collection", "contacts"), ExitCode.USAGE),
        (("history", "anna", "--limit", "-1"), ExitCode.USAGE),
        (("access", "anna", "--limit", "-1"), ExitCode.USAGE),
        (("rewind", "anna", "--collection", "contacts", "--to", "whenever"), ExitCode.USAGE),
        (("account", "add", "anna"), ExitCode.REFUSED),
        (("account", "disable", "nobody"), ExitCode.REFUSED),
        (("history", "nobody"), ExitCode.REFUSED),
        (("check", "nobody"), ExitCode.REFUSED),
        (("serve", "--port", "0"), ExitCode.UNAVAILABLE),
        (("account", "list", "--data", "/dev/null/x"), ExitCode.UNAVAILABLE),
        (("check", "--data", "/dev/null/x"), ExitCode.UNAVAILABLE),
    ],
)
def test_an_error_is_a_sentence_and_a_code(anna: Command, words: tuple[str, ...], code: ExitCode) -> None:
    """On standard error for people; with --json on standard output, with the hint."""
    plain = anna.run(*words)
    assert plain.code == code
    assert plain.errors.startswith("keepwell: ")
    assert "Traceback" not in plain.errors
    as_json = anna.run(*words, "--json")
    assert as_json.code == code
    error = json.loads(as_json.output[as_json.output.rindex('{\n  "error"') :])["error"]
    assert error["message"]
    assert set(error) == {"message", "hint"}


def test_an_unforeseen_error_is_written_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One sentence names the file with the details; with KEEPWELL_DEBUG they are shown too."""

    def fail() -> None:
        raise RuntimeError("the details")

    monkeypatch.setattr(cli_main, "build_app", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli_main.main([]) == ExitCode.INTERNAL
    shown = capsys.readouterr().err
    [written] = list(tmp_path.iterdir())
    assert str(written) in shown
    assert "Traceback" not in shown
    assert "RuntimeError: the details" in written.read_text()
    monkeypatch.setenv(cli_main.DEBUG_VARIABLE, "1")
    cli_main.main([])
    assert "RuntimeError: the details" in capsys.readouterr().err


def test_a_reader_that_ends_first_is_no_error(anna: Command) -> None:
    """`keepwell history | head` ends quietly."""
    for _ in range(3):
        anna.must("account", "add", f"someone{_}")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(KEEPWELL), "history", "anna", "--data", str(anna.data)], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
