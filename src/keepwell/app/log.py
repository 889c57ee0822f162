"""The log of events: JSON lines on standard error, key and value, never content and never secrets.

structlog's own default shows a failed function's variables, and a request's headers are among them; here a failure is
logged with its plain traceback only.
"""

from __future__ import annotations

import sys

import structlog


def configure_log() -> None:
    """Set it up for this process; may be called again."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
