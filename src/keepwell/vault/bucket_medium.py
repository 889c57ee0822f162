"""A vault in a bucket of an S3-compatible store.

`create` is one PUT with `If-None-Match: *`, never an upload in parts: parts have no condition that the client library
offers, and what is not finished lies hidden in the bucket and costs money. One PUT may have 5 GiB (S3's own limit).
Whether the store keeps the condition is tried out by `probe.py`. That it syncs before it answers is the operator's to
see to, and cannot be tried from here: SeaweedFS syncs bytes when told (`fs.configure -fsync`), its index of names not.

Times: a store that does not answer is a StorageFault within `STALL_SECONDS` for what changes something, within
`PATIENCE_SECONDS` for reads; an upload gets more, as long as its size needs at the slowest line that is of use. A
create that failed may have been done: the answer was lost. When the store says that it failed, or the connection
breaks, the library asks again, and an object can then be refused for its own sake: `claim` and `create_or_same` see
through that.

An answer 404 counts as "not there" only when the store says that it is the key that is missing: a bucket that is gone,
or something else that answers at this address, is a StorageFault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from keepwell.model.errors import AlreadyThere, NotThere, StorageFault, TooLarge
from keepwell.vault.devices import is_this_host, this_host
from keepwell.vault.medium import Log, MediumIdentity, ObjectInfo, is_object_name, require_object_name

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Credential

CREATE_BYTES_MAX: Final = 5 << 30
CONNECT_SECONDS: Final = 2
STALL_SECONDS: Final = 4
PATIENCE_SECONDS: Final = 8
RETRIES: Final = 2
SLOWEST_BYTES_PER_SECOND: Final = 128 << 10
_STEP_BYTES: Final = 64 << 10
_LISTED_AT_ONCE: Final = 1000
_KEY_MISSING: Final = "<Code>NoSuchKey</Code>"
_code: Final = re.compile(r"<Code>(\w+)</Code>")
_LOOK: Final = "Does the store answer at this address? What it did not confirm may have been done."


class BucketPlace(msgspec.Struct, frozen=True):
    """Where a bucket is, and under which prefix of its keys the vault lies (empty: the bucket is the vault)."""

    bucket: str
    prefix: str
    endpoint: str
    region: str

    def __str__(self) -> str:
        """For people: what and where."""
        return f"s3://{self.bucket}/{self.prefix} at {self.endpoint}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; the secret parts are never shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class BucketMedium:
    """One prefix of one bucket. Keeps nothing in memory but its connections."""

    def __init__(self, place: BucketPlace, credentials: Credentials) -> None:
        """Prepare; nothing is asked of the store yet."""
        self._place = place
        self._credentials = credentials
        self._stores: dict[int, S3Store] = {}

    def create(self, name: str, octets: bytes) -> None:
        """Keep an object, by one create-only PUT. Raises AlreadyThere, TooLarge, StorageFault."""
        require_object_name(name)
        if len(octets) > CREATE_BYTES_MAX:
            raise TooLarge(f"{name} is too large for one PUT", limit=CREATE_BYTES_MAX)
        with self._doing("keeping", name):
            self._store(len(octets)).put(name, octets, mode="create", use_multipart=False)

    def read(self, name: str) -> bytes:
        """All bytes of an object. Raises NotThere, StorageFault."""
        return self._get(name, {})

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object, shorter where it ends. Raises NotThere, StorageFault."""
        if 0 <= length < -offset:
            offset = max(0, self._size(name) + offset)
        if length == 0:
            self._size(name)
            return b""
        if offset < 0:
            return self._get(name, {"range": {"suffix": -offset}})[:length]
        return self._get(name, {"range": (offset, offset + length)})

    def exists(self, name: str) -> bool:
        """Whether an object is there. Raises StorageFault."""
        try:
            self._size(name)
        except NotThere:
            return False
        return True

    def keeps(self, name: str) -> bool:
        """Whether an object is there: what a bucket shows, it keeps. Raises StorageFault."""
        return self.exists(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, in order. Raises StorageFault."""
        # The library's prefixes are whole parts of names: `packs/ab` would find nothing below `packs/`.
        start = prefix.rpartition("/")[0]
        if start:
            require_object_name(start)
        with self._doing("listing", prefix or "everything"):
            found = [
                ObjectInfo(one["path"], one["size"])
                for chunk in self._store().list(start or None, chunk_size=_LISTED_AT_ONCE)
                for one in chunk
                if one["path"].startswith(prefix) and is_object_name(one["path"])
            ]
        return iter(sorted(found, key=lambda one: one.name))

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens when it is not there. Raises StorageFault."""
        require_object_name(name)
        with self._doing("removing", name):
            self._store().delete(name)

    def open_log(self, name: str) -> Log | None:
        """None: an object of a bucket cannot grow."""
        require_object_name(name)
        return None

    def settle(self, logs: str) -> None:
        """Nothing: what a bucket shows, it keeps."""

    def identity(self) -> MediumIdentity:
        """The store's host; this one when the address is one of this machine's."""
        host = urlsplit(self._place.endpoint).hostname or ""
        return MediumIdentity("s3", str(self._place), this_host() if is_this_host(host) else host)

    def close(self) -> None:
        """Let go of the connections; may be called twice."""
        self._stores.clear()

    def _get(self, name: str, options: GetOptions) -> bytes:
        require_object_name(name)
        with self._doing("reading", name):
            try:
                result = self._store().get(name, options=options)
                octets = result.bytes().to_bytes()
            except BaseError as error:
                if options and "416 Range Not Satisfiable" in str(error):
                    return b""  # the part begins behind the end
                raise
            start, end = result.range
        if len(octets) != end - start:
            raise StorageFault(
                f"reading {name} in {self._place} gave {len(octets)} bytes instead of {end - start}", hint=_LOOK
            )
        return octets

    def _size(self, name: str) -> int:
        require_object_name(name)
        with self._doing("looking for", name):
            try:
                return self._store().head(name)["size"]
            except FileNotFoundError:
                pass
        # The answer to a HEAD cannot say what is missing, the key or the bucket; that to a GET can.
        return len(self._get(name, {}))

    def _store(self, size: int = 0) -> S3Store:
        """A store with the patience that an upload of this size needs; one for each power of two."""
        step = (size // _STEP_BYTES).bit_length()
        patience = STALL_SECONDS + (_STEP_BYTES << step) / SLOWEST_BYTES_PER_SECOND
        return self._stores.get(step) or self._stores.setdefault(step, self._connect(patience))

    def _connect(self, stall_seconds: float) -> S3Store:
        # The limit of the whole request would cut off large reads: only standing still is limited, which counts until
        # the answer begins, and from each piece of the answer to the next.
        client: ClientConfig = {
            "allow_http": self._place.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=stall_seconds),
            "timeout": timedelta(days=1),
        }
        retry: RetryConfig = {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=PATIENCE_SECONDS),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
        }
        # What is not given here the library takes from variables meant for other programs.
        return S3Store(
            self._place.bucket,
            prefix=self._place.prefix or None,
            endpoint=self._place.endpoint,
            region=self._place.region,
            credential_provider=self._credential,
            conditional_put="etag",
            skip_signature=False,
            virtual_hosted_style_request=False,
            client_options=client,
            retry_config=retry,
        )

    def _credential(self) -> S3Credential:
        return {
            "access_key_id": self._credentials.access_key_id,
            "secret_access_key": self._credentials.secret_access_key,
            "token": self._credentials.session_token,
            "expires_at": None,
        }

    @contextmanager
    def _doing(self, what: str, name: str) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as error:
            raise AlreadyThere(f"{name} is taken in {self._place}") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise self._fault(
                what, name, error, "Does the access key allow reading, writing, removing, listing?"
            ) from error
        except FileNotFoundError as error:
            if _KEY_MISSING in str(error):
                raise NotThere(f"{name} is not in {self._place}") from error
            raise self._fault(what, name, error, "Is the bucket there, and its name and endpoint right?") from error
        except (BaseError, OSError, ValueError) as error:
            raise self._fault(what, name, error, _LOOK) from error

    def _fault(self, what: str, name: str, error: Exception, hint: str) -> StorageFault:
        # The library tells everything it knows, the answer's XML included: its first line and its code are the news.
        code = _code.search(str(error))
        reason = str(error).partition("\n")[0].partition(": <?xml")[0] + (f" ({code[1]})" if code else "")
        return StorageFault(f"{what} {name} in {self._place} failed: {reason}", hint=hint)
