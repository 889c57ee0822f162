"""The product's bounds made small, so that a few records reach what takes thousands in earnest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

import structlog

from keepwell.services import catch_up
from keepwell.vault import merge_plan, ship

SMALL: Final = (
    (ship, "INLINE_OCTETS_MAX", 100),
    (merge_plan, "TIER_PACKS_MAX", 2),
    (catch_up, "HEALED_BATCH", 2),
)


@contextmanager
def small_bounds() -> Iterator[None]:
    """While it lasts: large bytes begin at 100 octets, three packs are merged, and two records healed at once."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )
    try:
        with ExitStack() as stack:
            for module, name, value in SMALL:
                stack.enter_context(patch.object(module, name, value))
            yield
    finally:
        structlog.configure(**before)
