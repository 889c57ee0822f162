"""The status in numbers: what is measured, what is never in it, and who may read it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from keepwell.model.networks import is_within, parse_networks
from keepwell.services.drills import DrillResult
from keepwell.services.status.values import Proven, Status, VaultState, Writes
from keepwell.services.verified import Repairs
from keepwell.vault.verify import Grade
from keepwell.web.app import web_app
from tests.web.test_home import AT, near, status_with

MACHINE = "10.1.2.3"


def client(status: Status, *networks: str, host: str = MACHINE) -> TestClient:
    app = web_app(status=lambda: status, metrics_from=parse_networks(networks, "a network"))
    return TestClient(app, client=(host, 50000))


def samples(status: Status) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels, in the order of their names."""
    answer = client(status, MACHINE).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (one.name, *(one.labels[label] for label in sorted(one.labels))): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def test_the_numbers_are_those_of_the_status() -> None:
    """Copies by kind, each vault's state and lag, what was verified, drilled, shipped, mended and held."""
    drill = DrillResult(
        at="2026-11-23T07:00:00.000000Z", vault="near", passed=True, seconds_to_everything=4.5, sampled=("a_anna",)
    )
    vault = near(
        behind_accounts=3,
        tail_octets=512,
        shipped_records=40,
        verified={Grade.CONTENT: Proven(AT, 90.0, 1)},
        repairs=Repairs(objects=2, accounts=1),
        drill=drill,
        lacking="it lacks something",
    )
    found = samples(status_with(2, vaults=(vault,), held_accounts=5))
    assert found[("keepwell_copies", "contacts")] == 2
    assert found[("keepwell_vault_up", "near")] == 1
    assert found[("keepwell_vault_counts", "near")] == 0
    assert found[("keepwell_vault_lag_accounts", "near")] == 3
    assert found[("keepwell_vault_tail_bytes", "near")] == 512
    assert found[("keepwell_vault_shipped_records_total", "near")] == 40
    assert found[("keepwell_vault_last_verified_seconds", "content", "near")] == 90
    assert found[("keepwell_vault_damaged", "content", "near")] == 1
    assert found[("keepwell_vault_repairs_total", "near", "objects")] == 2
    assert found[("keepwell_vault_repairs_total", "near", "accounts")] == 1
    assert found[("keepwell_vault_last_drill_seconds", "near")] == 3600
    assert found[("keepwell_vault_last_drill_passed", "near")] == 1
    assert found[("keepwell_vault_restore_seconds", "near")] == 4.5
    assert found[("keepwell_held_accounts",)] == 5
    assert found[("keepwell_writes_taken",)] == 1


def test_a_vault_that_is_down_and_refused_writes_are_zero() -> None:
    """What an alert is made of."""
    found = samples(status_with(vaults=(near(state=VaultState.DOWN),), writes=Writes.REFUSED))
    assert (found[("keepwell_vault_up", "near")], found[("keepwell_writes_taken",)]) == (0, 0)


def test_metrics_name_no_person_and_no_place() -> None:
    """No account, login, folder or host is a label or in a text."""
    vault = near(state=VaultState.DOWN, reason="/secret is gone", drill=DrillResult(at=AT, vault="near", passed=False))
    text = client(status_with(vaults=(vault,)), MACHINE).get("/metrics").text
    assert "secret" not in text
    assert "a_" not in text.replace("a_copy", "")


@pytest.mark.parametrize(
    ("host", "networks", "status"),
    [
        (MACHINE, (), 403),
        (MACHINE, ("127.0.0.0/8",), 403),
        (MACHINE, ("10.0.0.0/8",), 200),
        ("127.0.0.1", ("127.0.0.0/8",), 200),
        ("::ffff:127.0.0.1", ("127.0.0.0/8",), 200),
        ("nobody", ("0.0.0.0/0",), 403),
    ],
)
def test_metrics_are_for_the_networks_that_were_named(host: str, networks: tuple[str, ...], status: int) -> None:
    """Others are refused; so is a client whose address is not known."""
    answer = client(status_with(), *networks, host=host).get("/metrics")
    assert answer.status_code == status
    assert ("keepwell_copies" in answer.text) == (status == 200)


def test_what_is_no_address_is_within_no_network() -> None:
    """Not even within all of them."""
    assert not is_within("", parse_networks(["0.0.0.0/0", "::/0"], "a network"))
