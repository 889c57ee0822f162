"""The method table: what each HTTP method does. New method, new line."""

from __future__ import annotations

from typing import Final

from keepwell.dav.collections import make_calendar, make_collection
from keepwell.dav.items import add_member, put, remove
from keepwell.dav.options import options
from keepwell.dav.propfind import propfind
from keepwell.dav.proppatch import proppatch
from keepwell.dav.reading import get
from keepwell.dav.report import report
from keepwell.dav.request import Handler
from keepwell.dav.transfer import copy, move

METHODS: Final[dict[str, Handler]] = {
    "OPTIONS": options,
    "GET": get,
    "HEAD": get,
    "PUT": put,
    "POST": add_member,
    "DELETE": remove,
    "PROPFIND": propfind,
    "PROPPATCH": proppatch,
    "MKCOL": make_collection,
    "MKCALENDAR": make_calendar,
    "COPY": copy,
    "MOVE": move,
    "REPORT": report,
}
