"""A small data folder with two vaults, and the product's commands and server on it, all in this process.

What lies in the `place` is the product's, and what a kill leaves. What must outlive a kill (claims, passwords, the
commands' output) lies in the `ground` beside it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepwell.app.wiring import open_keepwell
from keepwell.cli.main import main as keepwell_command
from keepwell.model.names import AccountId
from prove.claims import Claims, Digest
from prove.client import Client
from prove.copies import heads_of
from prove.direct import Served, serving
from prove.keeping import HandClock, Keeping, keeping

CONFIRMING: Final = "other"
FOLLOWING: Final = "second"
"""This vault is encrypted; the drill's key lies in the data folder."""


class StageError(Exception):
    """A command or the server did not do what it must; the message has what it printed."""


@dataclass
class Stage:
    """One place, and the ground beside it."""

    place: Path
    ground: Path

    def __post_init__(self) -> None:
        """Nothing is made but a new file of claims, behind those of before."""
        self.claims = Claims(self.ground / f"claims-{len(self.claims_before()):03}.jsonl")
        path = self.ground / "passwords.json"
        self.passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        self._served: Served | None = None
        self._keeping: Keeping | None = None

    def claims_before(self) -> list[Path]:
        """Every file of claims, in their order."""
        return sorted(self.ground.glob("claims-*.jsonl"))

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.place / "data"

    @property
    def vault(self) -> Path:
        """The folder of the confirming vault."""
        return self.place / "vault"

    def command(self, *arguments: str, code: int | Sequence[int] = 0, data: Path | None = None) -> str:
        """Run a command in this process and return what it printed. Raises StageError when it ends otherwise."""
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            ended = keepwell_command([*arguments, "--data", str(data or self.data)])
        if ended not in ([code] if isinstance(code, int) else code):
            shown = f"`keepwell {' '.join(arguments)}` exited with {ended}"
            raise StageError(f"{shown}:\n{output.getvalue()}{errors.getvalue()}")
        return output.getvalue()

    def add_password(self, login: str) -> None:
        """Make an app password and keep it, for whoever reads."""
        answer = json.loads(self.command("app-password", "add", login, "--label", "phone", "--json"))
        self.passwords[login] = answer["password"]
        (self.ground / "passwords.json").write_text(json.dumps(self.passwords))

    @contextmanager
    def serving(self) -> Iterator[Served]:
        """Serve the data folder while the block runs."""
        with serving(self.data) as self._served:
            yield self._served
        self._served = None

    def client(self, login: str) -> Client:
        """A client of the folder that is served. Raises StageError."""
        if self._served is None:
            raise StageError("nothing is served")
        return self._served.client(login, self.passwords[login])

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Have a keeper whose ticks are called by hand while the block runs."""
        with keeping(self.data, HandClock()) as self._keeping:
            yield
        self._keeping = None

    @property
    def keeper(self) -> Keeping:
        """The keeper, while there is one. Raises StageError."""
        if self._keeping is None:
            raise StageError("nothing is kept")
        return self._keeping

    def account(self, login: str) -> AccountId:
        """The account with this login. Raises StageError."""
        with open_keepwell(self.data) as keepwell:
            account = keepwell.directory.account_of(login)
        if account is None:
            raise StageError(f"there is no account {login}")
        return account

    def facts(self) -> dict[str, Digest]:
        """What an operator sees besides items, in the form of places."""
        found: dict[str, Digest] = {}
        with open_keepwell(self.data) as keepwell:
            for one in keepwell.directory.account_documents():
                found[f"login {one.login}"] = "disabled" if one.disabled else "enabled"
                for password in keepwell.directory.password_documents(one.account):
                    found[f"password {one.login} {password.label}"] = "there"
                for grant in keepwell.directory.grant_documents(one.account):
                    grantee = keepwell.directory.login_of(grant.grantee)
                    place = f"grant {one.login} {grant.home}/{grant.collection} {grantee}"
                    found[place] = "write" if grant.write else "read"
            for vault in keepwell.vaults.settings.all():
                found[f"vault {vault.name}"] = vault.role
        return found


def head_of(stage: Stage, login: str) -> int:
    """The number of the last record of an account. Raises StageError."""
    head = heads_of(stage.data)[stage.account(login)]
    if isinstance(head, Exception):
        raise StageError(f"the account of {login} cannot be read: {head}")
    return head.sequence
