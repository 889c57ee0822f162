"""The reports: questions that PROPFIND cannot ask (RFC 3253 section 3.6). New report, new line in `REPORTS`."""

from __future__ import annotations

from typing import Final

from keepwell.dav.reports import (
    addressbook_query,
    calendar_query,
    expand_property,
    free_busy,
    multiget,
    principal_search,
    principals,
    sync_collection,
)
from keepwell.dav.request import ReportHandler

REPORTS: Final[dict[str, ReportHandler]] = {
    report.name: report
    for report in (
        sync_collection.REPORT,
        multiget.CALENDAR,
        multiget.CONTACTS,
        calendar_query.REPORT,
        addressbook_query.REPORT,
        free_busy.REPORT,
        expand_property.REPORT,
        principals.MATCH,
        principals.ACL_PRINCIPALS,
        principal_search.SEARCH,
        principal_search.PROPERTY_SET,
    )
}
"""Clark name of the request's root element → what answers it."""
