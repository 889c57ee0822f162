"""The readable page at the face's root: every operation with its parameters, in plain HTML, from the declarations."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, cast

from keepwell.api.errors import SORTS
from keepwell.api.openapi import body_fields, operation_parameters
from keepwell.api.operation import Operation

_ABOUT: Final = (
    "<p>People’s data as JSON, for programs. Sign in with HTTP Basic: your login and an app password. Every operation "
    'is described for machines in <a href="{prefix}/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
    "<p>States are opaque: compare them, send them back, read nothing in them. A state whose changes cannot be told is "
    "refused with <code>cannotCalculateChanges</code>, never answered with an empty list: then start over. A 2xx "
    "answer to a write means that it is committed and synced.</p>"
)


def operations_page(operations: Iterable[Operation], prefix: str, version: str) -> str:
    """The page."""
    every = tuple(operations)
    areas = dict.fromkeys(operation.area for operation in every)
    sections = "".join(_section(area, [one for one in every if one.area == area], prefix) for area in areas)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        '<title>Keepwell for programs</title><link rel="stylesheet" href="/static/keepwell.css">'
        '</head><body><main id="content">'
        f"<h1>Keepwell {escape(version)} for programs</h1>{_ABOUT.format(prefix=prefix)}{sections}{_problems()}"
        "</main></body></html>\n"
    )


def _section(area: str, operations: list[Operation], prefix: str) -> str:
    shown = "".join(_operation(operation, prefix) for operation in operations)
    return f"<section><h2>{escape(area)}</h2>{shown}</section>"


def _operation(operation: Operation, prefix: str) -> str:
    rows = "".join(_parameter(one) for one in (*operation_parameters(operation), *body_fields(operation)))
    details = f"<dl>{rows}</dl>" if rows else ""
    description = f"<p>{escape(operation.description)}</p>" if operation.description else ""
    statuses = " ".join(f"{one.status}: {escape(one.description)}" for one in operation.successes)
    return (
        f'<h3 id="{escape(operation.name)}"><code>{operation.method} {escape(prefix + operation.path)}</code></h3>'
        f"<p>{escape(operation.summary)}.</p>{description}{details}<p>{statuses}</p>"
    )


def _parameter(parameter: dict[str, object]) -> str:
    name, where = str(parameter["name"]), str(parameter["in"])
    words = cast("str", parameter.get("description", ""))
    return f"<div><dt><code>{escape(name)}</code> ({where})</dt><dd>{escape(words)}</dd></div>"


def _problems() -> str:
    rows = "".join(
        f"<div><dt><code>{sort.word}</code> ({sort.status})</dt><dd>{escape(sort.title)}.</dd></div>"
        for sort in SORTS.values()
    )
    return f"<section><h2>Problems</h2><p>What is not done is answered by RFC 9457.</p><dl>{rows}</dl></section>"
