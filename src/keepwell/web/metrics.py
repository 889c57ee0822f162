"""`/metrics`: the status in numbers, for Prometheus.

Only totals and vaults' names: nothing here tells of a person, an account or a login. All the same they are for the
operator's eyes: answered to clients of this machine, and of the networks that the operator names. Behind a proxy on
this machine everybody comes from it, unless the server is told to trust the proxy.

The numbers are those of `Status`, taken when they are asked for, in a registry of their own: nothing of this process is
counted here, so every worker gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from keepwell.ground.clock import parse_moment
from keepwell.model.networks import Network, is_within
from keepwell.services.status.values import Status, VaultState, VaultStatus, Writes


def metrics(status: Callable[[], Status], allowed: Sequence[Network], request: Request) -> Response:
    """The numbers, or 403 for a client of another network."""
    if not is_within(request.client.host if request.client else "", allowed):
        return PlainTextResponse("Metrics are for the networks that the operator named with --metrics-from.\n", 403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatusCollector(status()))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _StatusCollector(Collector):
    """The status as metrics, once."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        yield from _metrics_of_all(self._status)
        yield from _metrics_of_vaults(self._status.vaults)
        yield from _metrics_of_proofs(self._status.vaults)
        yield from _metrics_of_drills(self._status)


def _metrics_of_all(status: Status) -> Iterator[Metric]:
    copies = GaugeMetricFamily("keepwell_copies", "Copies that have all of a kind now.", labels=["kind"])
    for kind, count in status.copies.items():
        copies.add_metric([kind], count)
    yield copies
    yield _gauge("keepwell_writes_taken", "1 while people's writes are taken.", status.writes is Writes.TAKEN)
    yield _gauge("keepwell_survives_disk", "1 when a copy is known to be on another disk.", status.survives_disk)
    yield _gauge("keepwell_survives_host", "1 when a copy is known to be on another host.", status.survives_host)
    yield _gauge("keepwell_held_accounts", "Accounts of which something is not served.", status.held_accounts)

    yield _gauge("keepwell_incidents", "Histories that went back and wait for a decision.", len(status.incidents))
    if status.store is not None:
        yield _gauge("keepwell_store_last_checked_seconds", "How long ago all of it was.", status.store.age_seconds)
        yield _gauge("keepwell_store_damaged", "Accounts that were found damaged.", status.store.damaged)


def _metrics_of_vaults(vaults: Sequence[VaultStatus]) -> Iterator[Metric]:
    yield _of_vaults("vault_up", "1 while it takes part.", vaults, lambda one: one.state is VaultState.OPEN)
    yield _of_vaults("vault_counts", "1 while it has everything.", vaults, lambda one: one.counts)
    yield _of_vaults("vault_lag_accounts", "Accounts of which it lacks something.", vaults, lambda o: o.behind_accounts)
    yield _of_vaults("vault_tail_bytes", "Bytes confirmed and in no pack.", vaults, lambda one: one.tail_octets)
    yield _of_vaults("vault_outages", "Times that it took no part, of those that are kept.", vaults, _outages)
    shipped = CounterMetricFamily("keepwell_vault_shipped_records", "Records brought to it.", labels=["vault"])
    repairs = CounterMetricFamily("keepwell_vault_repairs", "What was mended by itself.", labels=["vault", "what"])
    for one in vaults:
        shipped.add_metric([one.name], one.shipped_records)
        repairs.add_metric([one.name, "objects"], one.repairs.objects)
        repairs.add_metric([one.name, "accounts"], one.repairs.accounts)
    yield shipped
    yield repairs


def _metrics_of_proofs(vaults: Sequence[VaultStatus]) -> Iterator[Metric]:
    labels = ["vault", "grade"]
    ages = GaugeMetricFamily("keepwell_vault_last_verified_seconds", "How long ago that was.", labels=labels)
    damaged = GaugeMetricFamily("keepwell_vault_damaged", "What that found damaged or missing.", labels=labels)
    for vault in vaults:
        for grade, proven in vault.verified.items():
            ages.add_metric([vault.name, grade], proven.age_seconds)
            damaged.add_metric([vault.name, grade], proven.damaged)
    yield ages
    yield damaged


def _metrics_of_drills(status: Status) -> Iterator[Metric]:
    ages = GaugeMetricFamily("keepwell_vault_last_drill_seconds", "How long ago that was.", labels=["vault"])
    passed = GaugeMetricFamily("keepwell_vault_last_drill_passed", "1 when it passed.", labels=["vault"])
    lasted = GaugeMetricFamily("keepwell_vault_restore_seconds", "What restoring all took then.", labels=["vault"])
    now = parse_moment(status.at)
    for vault in status.vaults:
        if vault.drill is not None:
            ages.add_metric([vault.name], (now - parse_moment(vault.drill.at)).total_seconds())
            passed.add_metric([vault.name], vault.drill.passed)
            lasted.add_metric([vault.name], vault.drill.seconds_to_everything)
    yield from (ages, passed, lasted)


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family


def _of_vaults(name: str, text: str, vaults: Sequence[VaultStatus], value: Callable[[VaultStatus], float]) -> Metric:
    family = GaugeMetricFamily(f"keepwell_{name}", text, labels=["vault"])
    for one in vaults:
        family.add_metric([one.name], value(one))
    return family


def _outages(vault: VaultStatus) -> float:
    return len(vault.outages)
