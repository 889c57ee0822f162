"""Buckets of a real S3 server pass the medium contract, and what a network does to requests is told as what it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prove.s3 import ACCESS_KEY_ID, OPEN_BUCKET, SECRET_ACCESS_KEY, S3FailedError, S3Server, running_s3
from prove.s3_proxy import Fault, FaultProxy, fault_proxy

from keepwell.model.errors import AlreadyThere, Damaged, NotThere, StorageFault, TooLarge
from keepwell.vault import bucket_medium
from keepwell.vault.bucket_medium import RETRIES, Credentials
from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium, claim, create_or_same
from tests.vault.medium_suite import MediumContract, names

OCTETS = b"octets" * 1000


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3Server.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.endpoint) as proxy:
        yield proxy


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.new_url()


@pytest.fixture
def medium(url: str) -> Medium:
    return open_medium(url, name="test")


@pytest.fixture
def far(url: str, s3: S3Server, proxy: FaultProxy) -> Medium:
    """The same vault as `medium`, reached by way of the proxy."""
    return open_medium(url.replace(s3.endpoint, proxy.url), name="test")


class TestBucketMedium(MediumContract):
    pass


def test_the_prefix_may_be_empty(s3: S3Server) -> None:
    """A vault may be a whole bucket."""
    medium = open_medium(f"s3://whole-bucket?endpoint={s3.endpoint}", name="test")
    medium.create("packs/one", OCTETS)
    assert medium.read("packs/one") == OCTETS
    assert names(medium, "packs/") == ["packs/one"]


def test_vaults_in_one_bucket_do_not_see_each_other(medium: Medium, s3: S3Server) -> None:
    """A prefix keeps a vault apart from one whose prefix begins alike."""
    medium.create("packs/one", OCTETS)
    neighbour = open_medium(s3.new_url(), name="test")
    assert names(neighbour) == []
    assert not neighbour.exists("packs/one")


def test_it_has_no_logs(medium: Medium) -> None:
    """An object of a bucket cannot grow: asked for a log, it gives none and writes nothing."""
    assert medium.open_log("tails/one.jsonl") is None
    assert names(medium) == []


def test_a_listing_of_many_pages_is_complete(medium: Medium) -> None:
    """A store lists a thousand objects an answer; all answers are asked for."""
    wanted = [f"blobs/{number:04}" for number in range(1050)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: medium.create(name, b""), wanted))
    assert names(medium, "blobs/") == wanted


def test_a_large_object_is_one_create_only_put(medium: Medium, far: Medium, proxy: FaultProxy) -> None:
    """Above the size from which uploads are often parted it is still one request with the condition."""
    octets = bytes(range(256)) * (6 << 12)  # 6 MiB
    far.create("blobs/large", octets)
    assert proxy.seen == ["PUT"]
    with pytest.raises(AlreadyThere):
        far.create("blobs/large", octets)
    assert medium.read("blobs/large") == octets
    assert medium.read_range("blobs/large", 5 << 20, 256) == bytes(range(256))


def test_too_large_an_object_is_refused_before_it_is_sent(medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit of one PUT the object is refused, with the limit."""
    monkeypatch.setattr(bucket_medium, "CREATE_BYTES_MAX", 10)
    with pytest.raises(TooLarge) as caught:
        medium.create("blobs/large", b"x" * 11)
    assert caught.value.limit == 10
    assert not medium.exists("blobs/large")


def test_it_stands_on_this_host_when_its_address_does(medium: Medium) -> None:
    """A store on the machine itself has the machine's name, and devices that cannot be seen."""
    identity = medium.identity()
    assert identity.scheme == "s3"
    assert identity.host == socket.gethostname()
    assert identity.devices == ()


def test_a_missing_bucket_is_a_fault_and_not_an_empty_vault(s3: S3Server) -> None:
    """When the bucket is gone nothing is said to be missing in it, and its listing is not empty."""
    medium = open_medium(s3.new_url(bucket="gone"), name="test")
    for call in (
        lambda: medium.read("packs/one"),
        lambda: medium.read_range("packs/one", 0, 1),
        lambda: medium.exists("packs/one"),
        lambda: medium.list(),
    ):
        with pytest.raises(StorageFault, match="NoSuchBucket"):
            call()


def test_a_wrong_key_is_a_fault_that_hides_the_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store does not allow is a fault with a hint about the access key, which is never shown."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-one")
    medium = open_medium(url, name="test")
    for call in (lambda: medium.create("packs/one", OCTETS), lambda: medium.exists("packs/one")):
        with pytest.raises(StorageFault) as caught:
            call()
        assert "access key" in caught.value.hint
        assert "a-wrong-one" not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert "secret" not in repr(Credentials("id", "secret", "secret")).replace("secret_access_key", "")


def test_a_dead_endpoint_is_a_fault(url: str, s3: S3Server) -> None:
    """Where nothing listens every operation is a fault that says where it was tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    medium = open_medium(url.replace(s3.endpoint, f"http://127.0.0.1:{port}"), name="test")
    for call in (
        lambda: medium.create("packs/one", OCTETS),
        lambda: medium.read("packs/one"),
        lambda: medium.exists("packs/one"),
        lambda: medium.list(),
        lambda: medium.remove("packs/one"),
    ):
        with pytest.raises(StorageFault, match=f"127.0.0.1:{port}"):
            call()


def test_a_silent_endpoint_is_a_fault(
    url: str, far: Medium, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes requests and never answers is given up; a create is not sent to it twice."""
    monkeypatch.setattr(bucket_medium, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(bucket_medium, "PATIENCE_SECONDS", 1)
    proxy.rule = lambda _method, _target: Fault.SILENCE
    with pytest.raises(StorageFault):
        far.create("packs/one", OCTETS)
    assert proxy.seen == ["PUT"]
    with pytest.raises(StorageFault):
        far.read("packs/one")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_a_store_that_fails_once_is_asked_again(medium: Medium, far: Medium, proxy: FaultProxy, method: str) -> None:
    """One answer 500 is passed over in silence."""
    medium.create("packs/one", OCTETS)
    proxy.fault(Fault.ANSWER_500, method, times=1)
    assert far.read("packs/one") == OCTETS
    assert far.exists("packs/one")
    far.create("packs/two", OCTETS)
    far.remove("packs/one")
    assert proxy.seen.count(method) == 2
    assert names(medium) == ["packs/two"]


def test_a_store_that_always_fails_is_a_fault(far: Medium, proxy: FaultProxy) -> None:
    """It is asked again only so often."""
    proxy.fault(Fault.ANSWER_500, "PUT")
    with pytest.raises(StorageFault):
        far.create("packs/one", OCTETS)
    assert proxy.seen == ["PUT"] * (1 + RETRIES)


def test_a_lost_answer_to_a_create_is_a_fault_and_found_done(medium: Medium, far: Medium, proxy: FaultProxy) -> None:
    """The object was kept and every answer was lost: a fault, not a yes; creating the same again finds it done."""
    proxy.fault(Fault.STORE_THEN_DROP, "PUT")
    with pytest.raises(StorageFault):
        create_or_same(far, "packs/one", OCTETS)
    assert medium.read("packs/one") == OCTETS
    create_or_same(medium, "packs/one", OCTETS)
    with pytest.raises(Damaged):
        create_or_same(medium, "packs/one", b"other octets")


@pytest.mark.parametrize("fault", [Fault.STORE_THEN_DROP, Fault.STORE_THEN_500])
def test_an_object_that_is_refused_for_its_own_sake_is_recognised(
    medium: Medium, far: Medium, proxy: FaultProxy, fault: Fault
) -> None:
    """Asked again after a lost answer, a store refuses the object that it just kept: a claim sees through that."""
    proxy.fault(fault, "PUT", times=1)
    assert claim(far, "epochs/0000000001.json", b"ours")
    assert proxy.seen == ["PUT", "PUT", "GET"]
    assert medium.read("epochs/0000000001.json") == b"ours"
    assert not claim(far, "epochs/0000000001.json", b"theirs")


def test_an_answer_that_breaks_off_is_never_taken_for_the_object(
    medium: Medium, far: Medium, proxy: FaultProxy
) -> None:
    """Half of an object is a fault, and so is half of a part."""
    medium.create("packs/one", OCTETS)
    proxy.fault(Fault.CUT_ANSWER, "GET")
    for call in (lambda: far.read("packs/one"), lambda: far.read_range("packs/one", 10, 1000), lambda: far.list()):
        with pytest.raises(StorageFault):
            call()


def test_a_part_that_comes_short_is_a_fault(medium: Medium, far: Medium, proxy: FaultProxy) -> None:
    """Fewer bytes than the store itself says that it sends are never taken for the end of the object."""
    medium.create("packs/one", OCTETS)
    proxy.fault(Fault.SHORT_ANSWER, "GET")
    with pytest.raises(StorageFault, match="bytes instead of"):
        far.read_range("packs/one", 10, 1000)


def test_a_404_of_something_else_is_a_fault(medium: Medium, far: Medium, proxy: FaultProxy) -> None:
    """An address where something else answers (a portal, another server) does not make objects missing."""
    medium.create("packs/one", OCTETS)
    proxy.rule = lambda _method, _target: Fault.ANSWER_404
    for call in (
        lambda: far.read("packs/one"),
        lambda: far.exists("packs/one"),
        lambda: far.list(),
        lambda: far.create("packs/two", OCTETS),
        lambda: far.remove("packs/one"),
    ):
        with pytest.raises(StorageFault):
            call()


def test_only_a_missing_key_is_told_as_such(medium: Medium) -> None:
    """In a bucket that is there, an object that is not there is NotThere."""
    with pytest.raises(NotThere, match="packs/one"):
        medium.read("packs/one")


def test_the_key_of_the_vault_goes_before_the_common_one(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault's own access key is used where there is one, and nothing of another key with it."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-one")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-wrong-one")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KEEPWELL_VAULT_OFF_SITE_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("KEEPWELL_VAULT_OFF_SITE_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    medium = open_medium(s3.new_url(), name="off-site")
    medium.create("packs/one", OCTETS)
    assert medium.read("packs/one") == OCTETS


def test_the_open_bucket_takes_requests_without_a_signature(s3: S3Server, proxy: FaultProxy) -> None:
    """What the proxy changed reaches the server: without the condition a second create replaces the first."""
    far = open_medium(s3.new_url(bucket=OPEN_BUCKET, endpoint=proxy.url), name="test")
    proxy.fault(Fault.IGNORE_CONDITION, "PUT")
    far.create("packs/one", b"first")
    far.create("packs/one", b"second")
    assert far.read("packs/one") == b"second"


def test_a_missing_server_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without SeaweedFS these tests fail and say how to get it; they are never passed over."""
    monkeypatch.setattr("prove.s3.WEED", tmp_path / "weed")
    with pytest.raises(S3FailedError, match="make test"), running_s3():
        pass
