"""The OpenAPI document is made from what is served, and what is served keeps to it, also under generated requests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from keepwell.api.app import OPERATIONS, PREFIX
from tests.api.desk import CONTACTS, Desk
from tests.services.samples import card

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports is not ours
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import (
        content_type_conformance,
        negative_data_rejection,
        not_a_server_error,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )
    from schemathesis.config import SchemathesisConfig

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
]

# What unfit requests may be answered with: a text that is too long may make the whole body too large (413).
REFUSALS = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428]
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})

for taken in ("application/octet-stream", "text/vcard", "text/calendar"):
    schemathesis.openapi.media_type(taken, strategies.sampled_from([card("b"), card("c", "Eve"), b"no card"]))

KNOWN = {"home": "contacts", "name": "contacts", "item": "bob.vcf", "sequence": 7, "id": "none"}
DESCRIBED = [(one.method, PREFIX + one.path) for one in OPERATIONS]


@pytest.fixture
def filled(here: Desk) -> Desk:
    here.put(f"{CONTACTS}/items/bob.vcf", card("b"))
    here.share("contacts", write=True)
    return here


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda one: one.value)
@pytest.mark.parametrize("known", [True, False], ids=["known path", "any path"])
@pytest.mark.parametrize(("method", "path"), DESCRIBED)
def test_generated_requests_are_answered_as_described(
    filled: Desk, method: str, path: str, known: bool, mode: GenerationMode
) -> None:
    """Whatever is sent, fit or unfit, there is no 5xx, and status, headers and body are as the document says."""
    app = filled.client.app
    operation = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", app, config=CONFIG)[path][method]
    names = {name: value for name, value in KNOWN.items() if f"{{{name}}}" in path}
    credential = filled.headers("anna")

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(operation.as_strategy(mode, path_parameters=names if known else None))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=credential, checks=CHECKS)

    ask()


def test_every_operation_is_described_and_served(filled: Desk) -> None:
    """The document has exactly the declared operations and the two that describe them."""
    paths = filled.client.get(f"{PREFIX}/openapi.json").json()["paths"]
    listed = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    declared = {(one.method, PREFIX + one.path) for one in OPERATIONS}
    assert listed == declared | {("GET", f"{PREFIX}/openapi.json"), ("GET", f"{PREFIX}/")}
    names = [one.name for one in OPERATIONS]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(filled: Desk) -> None:
    """Each `$ref` of the document is to a part that it has."""
    document = filled.client.get(f"{PREFIX}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        part = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def references(part: object) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize("path", ["", "/"])
def test_the_page_names_every_operation(filled: Desk, path: str) -> None:
    """People read every operation at the face's root, without script and without a sign-in."""
    page = filled.client.get(PREFIX + path)
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    for operation in OPERATIONS:
        assert f"{operation.method} {PREFIX}{operation.path}" in page.text
