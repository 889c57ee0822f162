"""The OpenAPI 3.1 document, made from the declared operations; every schema comes from the structs that are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

import msgspec

from keepwell.api.errors import PROBLEM_TYPE, SORTS, Problem
from keepwell.api.operation import Header, JsonDocument, Octets, Operation, Page, StructType, Success

Schema = dict[str, object]

_REFERENCE: Final = "#/components/schemas/{name}"
_ABOUT: Final = (
    "The same contacts, calendars, tasks, notes and photos that CardDAV, CalDAV and WebDAV programs reach, with the "
    "semantics of JMAP: states are opaque; changes are told since a state, or refused with cannotCalculateChanges, "
    "never answered with an unexplained nothing; names are made by the client; a write can be bound to a state. A 2xx "
    "answer to a write means that it is committed and synced."
)
OCTETS_TYPE: Final = "application/octet-stream"
_TYPES_TAKEN: Final = (OCTETS_TYPE, "text/vcard", "text/calendar")


def openapi_document(operations: Iterable[Operation], prefix: str, version: str) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(_document(tuple(operations), prefix, version), order="deterministic")


def _document(operations: tuple[Operation, ...], prefix: str, version: str) -> Schema:
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keepwell",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": area} for area in dict.fromkeys(operation.area for operation in operations)],
        "security": [{"appPassword": []}],
        "paths": paths,
        "components": {
            "schemas": _components(operations),
            "responses": {"problem": _problem_response()},
            "securitySchemes": {
                "appPassword": {"type": "http", "scheme": "basic", "description": "Your login and an app password."}
            },
        },
    }


def _described(operation: Operation) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.area],
        "parameters": list(operation_parameters(operation)),
        "responses": {
            **{str(success.status): _response(success) for success in operation.successes},
            "default": {"$ref": "#/components/responses/problem"},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.is_public:
        described["security"] = []
    if operation.body_type is not None:
        described["requestBody"] = {"required": True, "content": _body_content(operation.body_type)}
    return described


def operation_parameters(operation: Operation) -> Iterator[Schema]:
    """The parameters of an operation, as the document describes them."""
    yield from _parameters_of(operation.path_type, "path")
    yield from _parameters_of(operation.query_type, "query")
    for header in operation.headers:
        yield _header_parameter(header)


def body_fields(operation: Operation) -> list[Schema]:
    """The fields of an operation's JSON body, described as its parameters are."""
    kind = operation.body_type
    return [] if kind is None or issubclass(kind, Octets) else list(_parameters_of(kind, "body"))


def _parameters_of(kind: StructType, where: str) -> Iterator[Schema]:
    described = _schemas([kind])[kind.__name__]
    required = cast("list[str]", described.get("required", []))
    for name, schema in cast("dict[str, Schema]", described.get("properties", {})).items():
        schema = dict(schema)
        parameter: Schema = {"name": name, "in": where, "required": name in required, "schema": schema}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        yield parameter


def _header_parameter(header: Header) -> Schema:
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": {"type": "string"},
    }


def _body_content(kind: StructType | type[Octets]) -> Schema:
    if issubclass(kind, Octets):
        return {media_type: {"schema": {}} for media_type in _TYPES_TAKEN}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(name=kind.__name__)}}}


def _response(success: Success) -> Schema:
    described: Schema = {"description": success.description}
    if success.content is not None:
        described["content"] = _response_content(success.content)
    if success.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in success.headers}
    return described


def _response_content(kind: StructType | type[Octets] | type[Page] | type[JsonDocument]) -> Schema:
    if issubclass(kind, Octets):
        return {"*/*": {"schema": {}}}
    if issubclass(kind, Page):
        return {"text/html": {"schema": {"type": "string"}}}
    if issubclass(kind, JsonDocument):
        return {"application/json": {"schema": {"type": "object"}}}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(name=kind.__name__)}}}


def _problem_response() -> Schema:
    words = ", ".join(f"{sort.word} ({sort.status})" for sort in SORTS.values())
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(name=Problem.__name__)}}}
    return {"description": f"It was not done. The types are {words}.", "content": content}


def _components(operations: tuple[Operation, ...]) -> Schema:
    """The schemas of every body and answer, and of what they are made of."""
    kinds: dict[str, StructType] = {Problem.__name__: Problem}
    for operation in operations:
        for kind in (operation.body_type, *(success.content for success in operation.successes)):
            if kind is not None and issubclass(kind, msgspec.Struct):
                kinds[kind.__name__] = kind
    schemas = _schemas(kinds.values())
    # What only path and query are made of (a sort of home, say) is referred to by their parameters.
    for operation in operations:
        for kind in (operation.path_type, operation.query_type):
            beside = _schemas([kind])
            beside.pop(kind.__name__)
            schemas.update(beside)
    return cast("Schema", schemas)


def _schemas(kinds: Iterable[StructType]) -> dict[str, Schema]:
    _, components = msgspec.json.schema_components(list(kinds), ref_template=_REFERENCE)
    return cast("dict[str, Schema]", components)
