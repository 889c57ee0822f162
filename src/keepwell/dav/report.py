"""REPORT (RFC 3253 section 3.6): finds the report by the name of the request's root element."""

from __future__ import annotations

from keepwell.dav.errors import DavRefused
from keepwell.dav.names import clark
from keepwell.dav.reports import REPORTS
from keepwell.dav.request import DavRequest, DavResponse
from keepwell.model.errors import BadRequest


async def report(request: DavRequest) -> DavResponse:
    """Answer a REPORT. Raises BadRequest without a body, DavRefused for a report that is not known here."""
    root = await request.xml()
    if root is None:
        raise BadRequest("a REPORT needs a body that says which report")
    handler = REPORTS.get(clark(str(root.tag)))
    if handler is None:
        raise DavRefused(403, f"the report {root.tag} is not known here", condition="<D:supported-report/>")
    return await handler(request, root)
