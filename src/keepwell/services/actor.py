"""Who acts: an account that signed in, by which credential, and what others shared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keepwell.model.errors import Forbidden, NotThere
from keepwell.model.names import AccountId, Home

Shared = Mapping[tuple[AccountId, Home, str], bool]
"""(owner, home, collection) → may the grantee write."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One signed-in account. `by` goes into the journal records of what it does."""

    account: AccountId
    login: str
    by: str
    shared: Shared = field(default_factory=dict)

    def may_see(self, owner: AccountId, home: Home, collection: str) -> bool:
        """Whether the actor may read this collection (or a folder above it in a nesting home)."""
        return owner == self.account or (owner, home, collection) in self.shared

    def may_change(self, owner: AccountId, home: Home, collection: str) -> bool:
        """Whether the actor may write items of this collection."""
        return owner == self.account or self.shared.get((owner, home, collection), False)

    def require_read(self, owner: AccountId, home: Home, collection: str) -> None:
        """Raise NotThere unless the actor may read: what is not shared is not known to exist."""
        if not self.may_see(owner, home, collection):
            raise NotThere(f"there is no collection {home}/{collection} that {self.login} may read")

    def require_change(self, owner: AccountId, home: Home, collection: str) -> None:
        """Raise NotThere or Forbidden unless the actor may write items."""
        self.require_read(owner, home, collection)
        if not self.may_change(owner, home, collection):
            raise Forbidden(f"{self.login} may read {home}/{collection}, but not change it")

    def require_owner(self, owner: AccountId, home: Home, collection: str) -> None:
        """Raise NotThere or Forbidden unless the actor owns: only owners make, change and drop collections."""
        if owner != self.account:
            self.require_read(owner, home, collection)
            raise Forbidden(f"only the owner of {home}/{collection} may do this")
