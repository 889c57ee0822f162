"""The pages' application: home page, the page of who is signed in, style sheet, health, metrics, words for what fails.

Promises: no page needs JavaScript or anything from another host, and the Content-Security-Policy says so; only `/me`
shows people's data, to the person who signed in, and no page changes anything; every URL shown is one of this very
server, made from the scheme and host by which the request came (the scheme behind a trusted proxy is settled before it
comes here).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from keepwell import __version__
from keepwell.model.errors import Damaged, NotSignedIn, NotThere, Unavailable
from keepwell.model.networks import Network
from keepwell.services.status.values import Status
from keepwell.services.status.words import CopiesView, view_of
from keepwell.web.address import Address, address_of
from keepwell.web.headers import SafeHeaders
from keepwell.web.me import Me, People, page_of, visitor
from keepwell.web.metrics import metrics

_FOLDER: Final = Path(__file__).parent
_STATIC: Final = _FOLDER / "static"

_WORDS_OF: Final = {
    401: ("Please sign in", "Use your login and one of your app passwords; whoever runs this server can make you one."),
    404: ("There is nothing here", "The address may have been mistyped. Everything starts on the home page."),
    405: ("That cannot be done here", "This address can be read in a browser, and nothing else."),
    500: ("Something went wrong", "It was not your doing. Nothing was changed, and the server wrote down what it was."),
    503: ("Not now", "What is kept for you cannot be shown whole at the moment, so nothing is shown. Try again later."),
}
_WORDS_OTHERWISE: Final = ("That did not work", "The request could not be answered.")

_CHALLENGE: Final = 'Basic realm="Keepwell", charset="UTF-8"'

RETRY_SECONDS: Final = "5"
"""When to ask again while the server cannot be used yet."""


def web_app(
    *,
    version: str = __version__,
    status: Callable[[], Status],
    ready: Callable[[], bool] = lambda: True,
    people: People | None = None,
    metrics_from: Sequence[Network] = (),
) -> Starlette:
    """The application; `status` tells of the copies of people's data, `ready` whether it can be used now.

    Without `people` there is no `/me`. `/metrics` is for clients of the networks `metrics_from` only.
    """
    pages = _Pages(version, status, ready)
    mine = [] if people is None else [Route("/me", partial(pages.me, people))]
    return Starlette(
        routes=[
            Route("/", pages.home),
            *mine,
            Route("/healthz", pages.health),
            Route("/readyz", pages.readiness),
            Route("/metrics", partial(metrics, status, metrics_from)),
            Route("/robots.txt", _robots),
            Route("/favicon.ico", _favicon),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={HTTPException: pages.refused, Exception: pages.failed},
    )


class _Pages:
    """The pages, rendered from templates that are compiled once."""

    def __init__(self, version: str, status: Callable[[], Status], ready: Callable[[], bool]) -> None:
        self._status = status
        self._ready = ready
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(version=version)

    def home(self, request: Request) -> Response:
        return HTMLResponse(self._render("home.html", address=address_of(request), copies=view_of(self._status())))

    async def me(self, people: People, request: Request) -> Response:
        try:
            view = await run_in_threadpool(page_of, people, visitor(people, request))
        except NotSignedIn as error:
            await asyncio.sleep(error.delay_seconds)
            return self._private(self._trouble(request, 401), 401, {"www-authenticate": _CHALLENGE})
        except (Unavailable, Damaged, NotThere):
            return self._private(self._trouble(request, 503), 503, {"retry-after": RETRY_SECONDS})
        copies = view_of(await run_in_threadpool(self._status))
        return self._private(self._render("me.html", address=address_of(request), me=view, copies=copies), 200, {})

    def _private(self, page: str, status: int, headers: dict[str, str]) -> Response:
        return HTMLResponse(page, status, {"cache-control": "no-store", **headers})

    def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok") if self._ready() else _not_yet(PlainTextResponse("not yet", 503))

    def readiness(self, _request: Request) -> Response:
        """Ready as long as reading goes on; whether writes are taken is said besides."""
        ready, status = self._ready(), self._status()
        vaults = [{"name": one.name, "state": one.state, "counts": one.counts} for one in status.vaults]
        content = {"ready": ready, "writes": status.writes, "copies": status.copies, "vaults": vaults}
        answer = JSONResponse(content, 200 if ready else 503)
        return answer if ready else _not_yet(answer)

    def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        return HTMLResponse(self._trouble(request, status), status, dict(headers or {}))

    def failed(self, request: Request, _error: Exception) -> Response:
        return HTMLResponse(self._trouble(request, 500), 500)

    def _trouble(self, request: Request, status: int) -> str:
        title, words = _WORDS_OF.get(status, _WORDS_OTHERWISE)
        return self._render("trouble.html", address=address_of(request), status=status, title=title, words=words)

    def _render(self, template: str, *, address: Address, **values: str | int | Me | CopiesView) -> str:
        return self._templates.get_template(template).render(address=address, **values)


def _not_yet(response: Response) -> Response:
    response.headers["retry-after"] = RETRY_SECONDS
    return response


def _robots(_request: Request) -> Response:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


def _favicon(_request: Request) -> Response:
    return FileResponse(_STATIC / "keepwell.svg", media_type="image/svg+xml")
