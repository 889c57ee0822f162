"""`keepwell restore --from URL… --into FOLDER`: everything back, out of vaults, into an empty place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pyrage.x25519 import Identity

from keepwell.app.restore import restore as carry_out
from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.live_options import NOT_LIVE, LiveOptions, Wishes
from keepwell.cli.output import print_json, progress_bar
from keepwell.cli.restore_output import plan_document, print_plan, print_restored
from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.services.restoring.logins import accounts_of, read_logins
from keepwell.services.restoring.place import require_place
from keepwell.services.restoring.restore import RestoreOrder
from keepwell.services.restoring.sources import OpenedSource, close_sources, holding_of, open_sources
from keepwell.services.restoring.speed import read_speed
from keepwell.services.rewind import parse_target
from keepwell.vault.keys import load_identities
from keepwell.vault.restore_plan import KIND_ORDER, Choice, RestorePlan, plan_restore


def restore(
    *,
    from_: Annotated[
        list[str], Parameter(name="--from", negative=(), help="A vault: a folder or s3://…; may be repeated.")
    ],
    into: Annotated[Path | None, Parameter(help="Where to: a folder that is empty or not there.")] = None,
    account: Annotated[
        list[str] | None, Parameter(negative=(), help="Only this account (login or id); may be repeated.")
    ] = None,
    kind: Annotated[
        list[Kind] | None,
        Parameter(negative=(), help="Only large bytes (photographs, attachments) of this kind; may be repeated."),
    ] = None,
    kind_order: Annotated[
        str | None, Parameter(help="In which order large bytes come: kinds with a comma between.")
    ] = None,
    at: Annotated[str | None, Parameter(help="Rewind to this moment afterwards: RFC 3339, or local time.")] = None,
    seq: Annotated[int | None, Parameter(help="Rewind the one --account to this record afterwards.")] = None,
    key: Annotated[
        list[Path] | None, Parameter(negative=(), help="A file with a secret key of an encrypted vault.")
    ] = None,
    accept_loss: Annotated[
        bool, Parameter(negative=(), help="Serve also what did not come back whole; otherwise that is held.")
    ] = False,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show the plan.")] = False,
    workers: Annotated[int | None, Parameter(help="Processes at work; as many as there are cores.")] = None,
    how: LiveOptions = NOT_LIVE,
    common: Common = DEFAULTS,
) -> int:
    """Bring everything back out of vaults into an empty place, proven; run again it goes on where it was stopped."""
    kinds = _kinds(kind or [], kind_order)
    moment = parse_target(at) if at is not None else ""
    if (seq is not None and (at is not None or len(account or []) != 1)) or (seq is not None and seq < 1):
        raise BadRequest("--seq is a record of one account", hint="Give one --account with it, and no --at.")
    if how.live:
        if into is not None or accept_loss or workers is not None or kind_order is not None:
            raise BadRequest("--live changes an account where it is served", hint="Leave out what is for --into.")
        wishes = Wishes(from_, account or [], kind or [], moment, seq or 0, key or [], dry_run)
        return _restore_live(wishes, how, common)
    if into is None:
        raise BadRequest("where to?", hint="Into an empty place: --into FOLDER. Into a served account: --live.")
    require_place(into)
    urls = [url if "://" in url else str(Path(url).absolute()) for url in from_]
    opened = open_sources(urls, _identities(key or []))
    try:
        plan = _plan(opened, account or [], kinds)
        speed = read_speed(common.data)
        if dry_run and common.json:
            print_json(plan_document(plan, speed))
        if not common.json:
            print_plan(plan, speed, every_account=dry_run)
        if dry_run:
            return ExitCode.OK
        order = RestoreOrder(
            into=into,
            chosen=_chosen(plan, account or []),
            moment=moment,
            sequence=seq or 0,
            accept_loss=accept_loss,
            workers=workers or os.cpu_count() or 1,
        )
        restored = carry_out(order, plan, opened, progress_bar)
    finally:
        close_sources(opened)
    if common.json:
        print_json(restored)
    else:
        print_restored(restored, plan)
    return ExitCode.OK if restored.loss is None else ExitCode.PARTLY


def _restore_live(wishes: Wishes, how: LiveOptions, common: Common) -> int:
    # Imported here: it brings in everything that serves, which takes as long as restoring some accounts.
    from keepwell.cli.restore_live import live_order, restore_live

    return restore_live(live_order(wishes, how), common)


def _plan(opened: Sequence[OpenedSource], texts: Sequence[str], kinds: tuple[Kind, ...]) -> RestorePlan:
    logins = read_logins([one.vault for one in opened])
    holdings = [holding_of(one.vault, blobs=not texts) for one in opened]
    known = {account for holding in holdings for account in holding.accounts()}
    if not known:
        raise NotThere("there is no account in these vaults", hint="Is it the right place? See: keepwell vault list")
    chosen = accounts_of(texts, logins, known) if texts else None
    return plan_restore(holdings, Choice(chosen, kinds), logins)


def _chosen(plan: RestorePlan, texts: Sequence[str]) -> tuple[AccountId, ...] | None:
    if not texts:
        return None
    return tuple(one.account for one in plan.accounts if one.account != SYSTEM_ACCOUNT)


def _kinds(chosen: Sequence[Kind], order: str | None) -> tuple[Kind, ...]:
    """The kinds whose large bytes come, in order. Raises BadRequest."""
    words = [word.strip() for word in order.split(",")] if order else []
    unknown = [word for word in words if word not in KIND_ORDER]
    if unknown or Kind.SYSTEM in chosen:
        raise BadRequest(f"{unknown[0] if unknown else Kind.SYSTEM} is no kind", hint=f"Kinds: {', '.join(KIND_ORDER)}")
    first = [Kind(word) for word in dict.fromkeys(words)]
    ordered = [*first, *(kind for kind in KIND_ORDER if kind not in first)]
    return tuple(kind for kind in ordered if not chosen or kind in chosen)


def _identities(files: Sequence[Path]) -> list[Identity]:
    return [identity for file in files for identity in load_identities(file)]
