"""The `keepwell` command: finds the command, runs it, and turns what it came to into output and an exit code.

Commands are imported when they run, so that `keepwell --help` is quick. No error ends in a traceback: those that are
raised on purpose are one sentence and a hint; any other is written to a file for whoever mends it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from keepwell import __version__
from keepwell.cli.exit_codes import ExitCode, describe_exit_codes, exit_code_of
from keepwell.cli.output import print_error, print_json
from keepwell.ground.process import keep_files_private
from keepwell.model.errors import KeepwellError

DEBUG_VARIABLE: Final = "KEEPWELL_DEBUG"
"""Set to 1, it shows the details of an unexpected error on standard error too."""

INTERRUPTED: Final = 130
"""What shells expect of a command that Ctrl-C ended."""

_HELP: Final = "Keepwell hosts people's contacts, calendars, tasks and notes; it does not lose them, and proves it."

_COMMANDS: Final = (
    ("serve", "serve:serve", "Serve the data folder to phones and programs."),
    ("import", "import_files:import_files", "Import vCard and iCalendar files or folders into an account."),
    ("export", "export:export", "Export an account into standard files."),
    ("history", "history:history", "Show who changed what in an account, and old versions."),
    ("rewind", "rewind:rewind", "Make a collection again what it was at a moment."),
    ("status", "status:status", "Show how many copies there are, what they are worth, and when that was proven."),
    ("restore", "restore:restore", "Bring back what copies have: all into an empty place, or one account live."),
    ("check", "check:check", "Check every page, chain, digest and projection."),
    ("verify", "verify:verify", "Prove that vaults hold what they must."),
    ("salvage", "salvage:salvage", "Unite what is left of damaged copies into a new data folder."),
    (
        "retention",
        "retention:retention",
        "Thin histories behind their time, and carry out what was marked to be erased.",
    ),
    ("erase", "retention:erase", "Mark an item, or a whole account, to be erased from every copy."),
    ("upgrade", "upgrade:upgrade", "Bring the data folder to this version's format, or back."),
    ("report", "report:report", "Tell what is lost, over all copies."),
    (
        "drill",
        "drill:drill",
        "Prove by doing it that vaults bring everything back.",
    ),
    ("access", "access:access", "Show who used an account, from where and with what."),
)
_GROUPS: Final = (
    (
        "account",
        "Add, list, disable and enable accounts.",
        (
            ("add", "account:add", "Add an account, with one collection of each kind."),
            ("list", "account:list_accounts", "List the accounts."),
            ("disable", "account:disable", "Let nobody sign in to an account; its data stays."),
            ("enable", "account:enable", "Let people sign in to a disabled account again."),
        ),
    ),
    (
        "app-password",
        "Add, list and revoke the passwords that devices sign in with.",
        (
            ("add", "app_password:add", "Make an app password; it is shown once."),
            ("list", "app_password:list_passwords", "List the app passwords of an account."),
            ("revoke", "app_password:revoke", "Take an app password back; it stops working at once."),
        ),
    ),
    (
        "vault",
        "Add, list and remove vaults: independent copies of everything.",
        (
            ("add", "vault:add", "Make a vault, or take one over that holds this data already."),
            ("list", "vault:list_vaults", "List the vaults, and what each of them has."),
            ("remove", "vault:remove", "Ship to a vault no more; what lies in it stays."),
            ("keys", "vault_keys:keys", "Prove the recovery key of an encrypted vault, or show whose keys open it."),
        ),
    ),
    (
        "lineage",
        "Show histories that went back, and go on without what is missing.",
        (
            ("show", "lineage:show", "Show what is held because history went back."),
            ("accept", "lineage:accept", "Go on without what is missing; what is held is served again."),
        ),
    ),
    (
        "grant",
        "Share collections with other accounts.",
        (
            ("add", "grant:add", "Share a collection with another account."),
            ("list", "grant:list_grants", "List what an account shares."),
            ("remove", "grant:remove", "Stop sharing a collection."),
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    keep_files_private()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in tokens
    try:
        code = build_app()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _fail(ExitCode.USAGE, str(error), "See: keepwell --help", as_json=as_json)
    except KeepwellError as error:
        return _fail(exit_code_of(error), error.message, error.hint, as_json=as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        return _fail(exit_code_of(error), _os_message(error), "", as_json=as_json)
    except Exception:
        message = f"something went wrong that nobody foresaw; the details are in {_write_details()}"
        return _fail(ExitCode.INTERNAL, message, "Please report it with that file.", as_json=as_json)
    return code if isinstance(code, int) else ExitCode.OK


def build_app() -> App:
    """The command tree; what a command needs is imported when it runs."""
    app = App(
        name="keepwell",
        version=f"keepwell {__version__}",
        help=_HELP,
        help_epilogue=describe_exit_codes(),
        help_flags=["--help", "-h"],
        version_flags=["--version"],
    )
    for name, path, text in _COMMANDS:
        app.command(f"keepwell.cli.{path}", name=name, help=text)
    for name, text, commands in _GROUPS:
        group = App(name=name, help=text)
        for its_name, path, its_text in commands:
            group.command(f"keepwell.cli.{path}", name=its_name, help=its_text)
        app.command(group)
    return app


def _fail(code: ExitCode, message: str, hint: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"error": {"message": message, "hint": hint}})
        sys.stdout.flush()
    else:
        print_error(message, hint)
    return code


def _os_message(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"the operating system refused{where}: {error.strerror or error}"


def _reader_gone() -> int:
    """Whoever read the output (`| head`) ended first; nothing more can be said to them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.OK


def _write_details() -> str:
    import tempfile
    import traceback

    details = traceback.format_exc()
    if os.environ.get(DEBUG_VARIABLE) == "1":
        sys.stderr.write(details)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="keepwell-", suffix=".txt", delete=False) as file:
            file.write(f"keepwell {__version__}, Python {sys.version}\n{details}")
    except OSError as error:
        return f"no file ({error.strerror}); set {DEBUG_VARIABLE}=1 to see them"
    return file.name


if __name__ == "__main__":
    sys.exit(main())
