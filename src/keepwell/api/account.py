"""Your account: what it holds in how many copies, who used it, and its app passwords."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from keepwell.api.answers import DONE, done, json_answer
from keepwell.api.call import Call, Nothing, Services
from keepwell.api.items import Limit
from keepwell.api.operation import Operation, Success, declare
from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.services.access_log import AccessLog
from keepwell.services.accounts import hash_secret
from keepwell.services.actor import Actor
from keepwell.services.state import account_state
from keepwell.services.status.values import PEOPLES_KINDS
from keepwell.services.whole import whole_collections
from keepwell.storage.access_table import AccessEntry
from keepwell.storage.contract import Collection

AREA: Final = "Account"
ENTRIES_USUAL: Final = 100


class KindDocument(msgspec.Struct, frozen=True):
    """What you have of one kind."""

    kind: Kind
    collections: int
    count: Annotated[int, Meta(description="Items.")]
    octets: Annotated[int, Meta(description="Bytes of the items.")]
    copies: Annotated[int, Meta(description="Copies that have all of it now; the one that is served is the first.")]


class HeldDocument(msgspec.Struct, frozen=True):
    """A kind of which nothing is shown or changed for now, and what is known to be missing."""

    kind: Kind
    reason: str


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The signed-in account."""

    login: str
    display_name: str
    account: Annotated[AccountId, Meta(description="Its id, which is never used again.")]
    lineage: Annotated[Lineage, Meta(description="The id of its unbroken history; another one after a restore.")]
    state: Annotated[str, Meta(description="Opaque; another one after every change of the account.")]
    kinds: list[KindDocument]
    held: Annotated[
        list[HeldDocument],
        Meta(description="Kinds that are not whole: the server lost part of them, and waits for its operator."),
    ]


class AccessDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often a program used the account from an address within an hour, and how it ended."""

    first_at: str
    last_at: str
    credential: Annotated[str, Meta(description="The app password by its label; empty when it was a wrong one.")]
    address: str
    agent: str
    outcome: str
    count: int


class AccessList(msgspec.Struct, frozen=True):
    """Uses of the account, the latest first."""

    entries: list[AccessDocument]


class AccessQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many."""

    limit: Limit = ENTRIES_USUAL


class PasswordSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An app password, without its secret."""

    id: str
    label: str
    made_at: str


class PasswordList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Your app passwords, the oldest first."""

    app_passwords: list[PasswordSummary]


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An app password to make."""

    label: Annotated[
        str,
        Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="Where it will be used."),
    ]


class MadePassword(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An app password that was made. Its secret is told here and never again."""

    id: str
    label: str
    made_at: str
    password: str


class PasswordPath(msgspec.Struct, frozen=True):
    """An app password's path."""

    id: str


async def _account(call: Call[Nothing, Nothing, Nothing]) -> Response:
    return json_answer(await run_in_threadpool(_summary, call.services, call.actor))


def _summary(services: Services, actor: Actor) -> AccountSummary:
    copies = services.status().copies
    with services.library.reading(actor.account) as snapshot:
        collections = whole_collections(snapshot)
        held, kinds = snapshot.held(), {one.kind for one in collections}
        return AccountSummary(
            login=actor.login,
            display_name=services.directory.display_name(actor.account),
            account=actor.account,
            lineage=snapshot.lineage(),
            state=str(account_state(snapshot)),
            kinds=[_kind(kind, collections, copies[kind]) for kind in PEOPLES_KINDS if kind in kinds],
            held=[HeldDocument(kind, held[kind]) for kind in Kind if kind in held and kind is not Kind.SYSTEM],
        )


def _kind(kind: Kind, collections: list[Collection], copies: int) -> KindDocument:
    mine = [one for one in collections if one.kind is kind]
    return KindDocument(kind, len(mine), sum(one.count for one in mine), sum(one.octets for one in mine), copies)


async def _access(call: Call[Nothing, AccessQuery, Nothing]) -> Response:
    return json_answer(await run_in_threadpool(_entries, call.services.access_log, call.actor, call.query.limit))


def _entries(access_log: AccessLog, actor: Actor, limit: int) -> AccessList:
    return AccessList([_access_document(one) for one in access_log.entries(actor.account, limit)])


def _access_document(entry: AccessEntry) -> AccessDocument:
    return AccessDocument(
        first_at=entry.first_at,
        last_at=entry.last_at,
        credential=entry.credential,
        address=entry.address,
        agent=entry.agent,
        outcome=entry.outcome,
        count=entry.count,
    )


async def _list_passwords(call: Call[Nothing, Nothing, Nothing]) -> Response:
    documents = await run_in_threadpool(call.services.accounts.passwords, call.actor.login)
    summaries = [PasswordSummary(id=one.id, label=one.label, made_at=one.made_at) for one in documents]
    return json_answer(PasswordList(app_passwords=summaries))


async def _make_password(call: Call[Nothing, Nothing, NewPassword]) -> Response:
    return json_answer(await run_in_threadpool(_made, call.services, call.actor, call.body.label), 201)


def _made(services: Services, actor: Actor, label: str) -> MadePassword:
    secret = services.accounts.add_password(actor.login, label)
    document = services.directory.password_by_hash(hash_secret(secret))
    if document is None:
        raise Damaged(f"the app password {label!r} of {actor.login} was made and is not there")
    return MadePassword(id=document.id, label=label, made_at=document.made_at, password=secret)


async def _revoke_password(call: Call[PasswordPath, Nothing, Nothing]) -> Response:
    await run_in_threadpool(_revoke, call.services, call.actor, call.path.id)
    return done()


def _revoke(services: Services, actor: Actor, password_id: str) -> None:
    # The service takes labels too; a path must mean one app password only.
    if all(one.id != password_id for one in services.accounts.passwords(actor.login)):
        raise NotThere(f"{actor.login} has no app password with the id {password_id}")
    services.accounts.revoke(actor.login, password_id)


OPERATIONS: Final[tuple[Operation, ...]] = (
    declare(
        "readAccount",
        "GET /account",
        _account,
        Success(200, "The account.", AccountSummary),
        summary="Tell who you are, what you have, and in how many copies",
        area=AREA,
        path=Nothing,
        query=Nothing,
        body=Nothing,
    ),
    declare(
        "listAccess",
        "GET /access-log",
        _access,
        Success(200, "Uses of the account.", AccessList),
        summary="Tell who used your account, with what and from where",
        area=AREA,
        path=Nothing,
        query=AccessQuery,
        body=Nothing,
    ),
    declare(
        "listAppPasswords",
        "GET /app-passwords",
        _list_passwords,
        Success(200, "The app passwords.", PasswordList),
        summary="List your app passwords",
        area=AREA,
        path=Nothing,
        query=Nothing,
        body=Nothing,
    ),
    declare(
        "makeAppPassword",
        "POST /app-passwords",
        _make_password,
        Success(201, "It was made; its secret is told this once.", MadePassword),
        summary="Make an app password for a device or a program",
        area=AREA,
        path=Nothing,
        query=Nothing,
        body=NewPassword,
    ),
    declare(
        "revokeAppPassword",
        "DELETE /app-passwords/{id}",
        _revoke_password,
        DONE,
        summary="Take an app password of yours back; it stops working at once",
        area=AREA,
        path=PasswordPath,
        query=Nothing,
        body=Nothing,
    ),
)
