"""The reports: questions that PROPFIND cannot ask (RFC 3253 section 3.6). New report, new line in `REPORTS`."""

from __future__ import annotations

from typing import Final

import keepwell.dav.reports.addressbook_query as addressbook_query
import keepwell.dav.reports.calendar_query as calendar_query
import keepwell.dav.reports.expand_property as expand_property
import keepwell.dav.reports.free_busy as free_busy
import keepwell.dav.reports.multiget as multiget
import keepwell.dav.reports.principal_search as principal_search
import keepwell.dav.reports.principals as principals
import keepwell.dav.reports.sync_collection as sync_collection
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
