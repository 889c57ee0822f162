"""RFC 7232 conditions, one row each."""

from __future__ import annotations

import pytest

from keepwell.model.errors import PreconditionFailed
from keepwell.model.preconditions import Conditions, etag_of
from keepwell.model.record import digest_of

HERE = digest_of(b"here")
TAG, OTHER = etag_of(HERE), etag_of(digest_of(b"other"))


@pytest.mark.parametrize(
    ("conditions", "exists", "holds"),
    [
        (Conditions(), True, True),
        (Conditions(), False, True),
        (Conditions(if_match=(TAG,)), True, True),
        (Conditions(if_match=(OTHER, TAG)), True, True),
        (Conditions(if_match=(OTHER,)), True, False),
        (Conditions(if_match=(TAG,)), False, False),
        (Conditions(if_match=("*",)), True, True),
        (Conditions(if_match=("*",)), False, False),
        (Conditions(if_none_match=("*",)), True, False),
        (Conditions(if_none_match=("*",)), False, True),
        (Conditions(if_none_match=(TAG,)), True, False),
        (Conditions(if_none_match=(OTHER,)), True, True),
    ],
)
def test_conditions(conditions: Conditions, exists: bool, holds: bool) -> None:
    """If-Match needs a listed tag (`*`: any item); If-None-Match needs the contrary."""
    if holds:
        conditions.check(HERE if exists else None, "bob")
    else:
        with pytest.raises(PreconditionFailed, match="bob"):
            conditions.check(HERE if exists else None, "bob")
