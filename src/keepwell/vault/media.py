"""From a vault's URL to its medium: the sorts of media meet here, and nowhere else.

    /backup/keepwell, file:///backup/keepwell          a folder
    s3://BUCKET/PREFIX?endpoint=URL&region=NAME         a bucket; AWS when no endpoint is given

A URL never holds a secret. The access key of a bucket comes from the environment: `KEEPWELL_VAULT_<NAME>_ACCESS_KEY_ID`
and `…_SECRET_ACCESS_KEY` (and `…_SESSION_TOKEN`), where the name of the vault `off-site` is `OFF_SITE`; and when these
are not set, `AWS_ACCESS_KEY_ID` and so on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from keepwell.ground.durable import make_folder
from keepwell.model.errors import BadRequest, StorageFault
from keepwell.vault.bucket_medium import BucketMedium, BucketPlace, Credentials
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.medium import Medium, is_object_name

REGION_DEFAULT: Final = "us-east-1"
_bucket: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_region: Final = re.compile(r"[A-Za-z0-9-]{1,40}")
_USAGE: Final = "Use a folder, or s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION."


def open_medium(url: str, *, name: str, make: bool = False) -> Medium:
    """The medium of the vault with this name, at this URL.

    A folder must be there, as a missing one is a disk that is not mounted; with `make` it is made, inside a folder that
    is there. A bucket is not asked anything yet. Raises BadRequest for what is no such URL, StorageFault.
    """
    place = parse_url(url)
    if isinstance(place, BucketPlace):
        return BucketMedium(place, credentials_of(name, os.environ))
    if make:
        _make(place)
    return FolderMedium(place)


def parse_url(url: str) -> Path | BucketPlace:
    """What a vault's URL names: an absolute path or a bucket. Raises BadRequest."""
    scheme, separator, _rest = url.partition("://")
    if not separator:
        return _folder(url)
    if scheme not in ("file", "s3"):
        raise BadRequest(f"a vault cannot be at {scheme}://…", hint=_USAGE)
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise BadRequest("the URL of a vault holds no user or password", hint="Set them in the environment.")
        return _file(parts) if scheme == "file" else _s3(parts)
    except ValueError as error:
        raise BadRequest(f"the URL of a vault cannot be read: {error}", hint=_USAGE) from error


def credentials_of(name: str, environment: Mapping[str, str]) -> Credentials:
    """The access key for the vault with this name. Raises BadRequest that says which variables to set."""
    own = f"KEEPWELL_VAULT_{name.upper().replace('-', '_')}_"
    for prefix in (own, "AWS_"):
        key, secret = (environment.get(prefix + part) for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        if key and secret:
            return Credentials(key, secret, environment.get(f"{prefix}SESSION_TOKEN"))
        if key or secret:
            raise BadRequest(
                f"of {prefix}ACCESS_KEY_ID and {prefix}SECRET_ACCESS_KEY only one is set", hint="Set both."
            )
    raise BadRequest(
        f"there is no access key for the vault {name}",
        hint=f"Set {own}ACCESS_KEY_ID and {own}SECRET_ACCESS_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )


def _folder(path: str) -> Path:
    if not path or "\0" in path:
        raise BadRequest("a vault's folder needs a name", hint=_USAGE)
    return Path(path).absolute()


def _file(parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise BadRequest("a file URL of a vault has three slashes and nothing behind the path", hint=_USAGE)
    return _folder(unquote(parts.path))


def _s3(parts: SplitResult) -> BucketPlace:
    prefix = unquote(parts.path).strip("/")
    if not _bucket.fullmatch(parts.netloc) or (prefix and not is_object_name(prefix)) or parts.fragment:
        raise BadRequest(f"s3://{parts.netloc}{parts.path} names no bucket and prefix", hint=_USAGE)
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    unknown = sorted(options.keys() - {"endpoint", "region"})
    if unknown or any(len(values) > 1 for values in options.values()):
        raise BadRequest(f"a bucket's URL takes endpoint and region once, not {', '.join(unknown)}", hint=_USAGE)
    region = options.get("region", [REGION_DEFAULT])[0]
    if not _region.fullmatch(region):
        raise BadRequest(f"{region!r} cannot be a region", hint=_USAGE)
    endpoint = options.get("endpoint", [f"https://s3.{region}.amazonaws.com"])[0].rstrip("/")
    _require_endpoint(endpoint)
    return BucketPlace(parts.netloc, prefix, endpoint, region)


def _require_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise BadRequest("the endpoint of a bucket holds no user or password", hint="Set them in the environment.")
    port = parts.port  # raises ValueError when it is no number
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadRequest(f"{endpoint!r} cannot be an endpoint", hint=_USAGE)
    if parts.path or parts.query or parts.fragment:
        raise BadRequest(f"{endpoint!r} has more than a host and a port", hint=_USAGE)


def _make(folder: Path) -> None:
    """Make one folder, never what is above it: that may be a disk that is not mounted, or a slip of the pen."""
    if not folder.parent.is_dir():
        raise BadRequest(
            f"{folder.parent} is not there, so no vault can be made in it", hint="Is the disk mounted? Make it by hand."
        )
    try:
        make_folder(folder)
    except OSError as error:
        raise StorageFault(f"making the vault's folder {folder} failed: {error.strerror}") from error
