"""What the DAV face needs of the services below it, as narrow protocols; `app/wiring.py` brings the real ones."""

from __future__ import annotations

from typing import Protocol

from keepwell.model.names import AccountId
from keepwell.services.actor import Actor


class Directory(Protocol):
    """Who is who."""

    def account_of(self, login: str) -> AccountId | None:
        """The account that has this login."""
        ...

    def login_of(self, account: AccountId) -> str | None:
        """The login of an account."""
        ...

    def display_name(self, account: AccountId) -> str:
        """What people call the account; its login when nobody said."""
        ...

    def revision(self) -> int:
        """Grows with every change of the directory."""
        ...


class SignIn(Protocol):
    """Turns a credential into an actor."""

    def sign_in(self, authorization: bytes | None, address: str, agent: str) -> Actor:
        """Who this is. Raises NotSignedIn, whose `delay_seconds` says how long the answer must wait."""
        ...
