"""What all commands share: their common options, and how they find the account that a login names."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from keepwell.app.wiring import Keepwell
    from keepwell.services.actor import Actor


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command takes."""

    data: Annotated[Path, Parameter(env_var="KEEPWELL_DATA", help="The data folder; made when it is not there.")] = (
        Path("data")
    )
    json: Annotated[bool, Parameter(negative=(), help="Answer with a JSON document.")] = False


DEFAULTS = Common()
"""No option given."""


def command(common: Common, *words: str) -> str:
    """A command for people to copy, which works on the same data folder."""
    folder = [] if common.data == DEFAULTS.data else ["--data", str(common.data)]
    return shlex.join(["keepwell", *words, *folder])


def operator_for(keepwell: Keepwell, login: str) -> Actor:
    """The operator, acting in the account with this login. Raises NotThere."""
    from keepwell.model.errors import NotThere
    from keepwell.services.accounts import OPERATOR
    from keepwell.services.actor import Actor

    account = keepwell.directory.account_of(login)
    if account is None:
        raise NotThere(f"there is no account with the login {login}", hint="See: keepwell account list")
    return Actor(account, login, OPERATOR)
