"""`keepwell history LOGIN`: who changed what and when, and what an item was before."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, operator_for
from keepwell.cli.output import print_json, print_table
from keepwell.model.names import HOME_OF
from keepwell.model.record import Record
from keepwell.services.history import HistoryQuery, erased_among, find_spot, list_records, read_version


def history(
    login: Annotated[str, Parameter(help="The login of the account.")],
    /,
    *,
    collection: Annotated[
        str | None, Parameter(help="Only this collection: its name, or home/name; also one that was dropped.")
    ] = None,
    item: Annotated[str | None, Parameter(help="Only the item with this name.")] = None,
    limit: Annotated[
        int | None, Parameter(validator=validators.Number(gte=0), help="So many of the newest records.")
    ] = None,
    oldest_first: Annotated[bool, Parameter(negative=(), help="In the order in which it happened.")] = False,
    show: Annotated[
        int | None, Parameter(help="Print the content that the record with this number put, instead.")
    ] = None,
    common: Common = DEFAULTS,
) -> None:
    """Show who changed what in an account, the newest first, and old versions."""
    with open_keepwell(common.data) as keepwell:
        actor = operator_for(keepwell, login)
        with keepwell.library.reading(actor.account) as snapshot:
            if show is not None:
                _print_version(*read_version(snapshot, show), as_json=common.json)
                return
            spot = None if collection is None else find_spot(snapshot, collection)
            query = HistoryQuery(spot, item, limit, oldest_first)
            records = list_records(snapshot, query)
            erased = erased_among(snapshot, records)
    if common.json:
        documents = [_document(one, is_erased=one.facts.digest in erased) for one in records]
        print_json({"login": login, "records": documents})
    else:
        rows = [_row(one, is_erased=one.facts.digest in erased) for one in records]
        print_table(("RECORD", "AT", "BY", "WHAT", "WHERE", "BYTES"), rows)


def _print_version(record: Record, body: bytes, *, as_json: bool) -> None:
    if as_json:
        text = body.decode(errors="replace")
        print_json({"record": _document(record), "body": text})
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def _document(record: Record, *, is_erased: bool = False) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(record.facts)
    return fields | {"hash": record.hash} | ({"erased": True} if is_erased else {})


def _row(record: Record, *, is_erased: bool) -> tuple[object, ...]:
    facts = record.facts
    where = "" if facts.kind is None else f"{HOME_OF[facts.kind]}/{facts.collection}"
    place = f"{where}/{facts.name}" if facts.name else where
    size = "" if facts.size is None else f"{facts.size} erased" if is_erased else facts.size
    return facts.seq, facts.at, facts.by, facts.op, place, size
