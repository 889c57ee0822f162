"""The pages' application: the home page, its style sheet, the health answers, and plain words for what goes wrong.

Promises: no page needs JavaScript or anything from another host, and the Content-Security-Policy says so; nothing
here asks for or shows people's data, so nobody has to sign in; every URL shown is one of this very server, made from
the scheme and host by which the request came (the scheme behind a trusted proxy is settled before it comes here).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from keepwell import __version__
from keepwell.web.address import Address, address_of
from keepwell.web.headers import SafeHeaders

_FOLDER: Final = Path(__file__).parent
_STATIC: Final = _FOLDER / "static"

_WORDS_OF: Final = {
    404: ("There is nothing here", "The address may have been mistyped. Everything starts on the home page."),
    405: ("That cannot be done here", "This address can be read in a browser, and nothing else."),
    500: ("Something went wrong", "It was not your doing. Nothing was changed, and the server wrote down what it was."),
}
_WORDS_OTHERWISE: Final = ("That did not work", "The request could not be answered.")

RETRY_SECONDS: Final = "5"
"""When to ask again while the server cannot be used yet."""


def web_app(*, version: str = __version__, copies: int = 1, ready: Callable[[], bool] = lambda: True) -> Starlette:
    """The application; `copies` is how many copies of people's data there are, `ready` whether it can be used now."""
    pages = _Pages(version, copies, ready)
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/healthz", pages.health),
            Route("/readyz", pages.readiness),
            Route("/robots.txt", _robots),
            Route("/favicon.ico", _favicon),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={HTTPException: pages.refused, Exception: pages.failed},
    )


class _Pages:
    """The pages, rendered from templates that are compiled once."""

    def __init__(self, version: str, copies: int, ready: Callable[[], bool]) -> None:
        self._copies = copies
        self._ready = ready
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(version=version, copies=copies)

    def home(self, request: Request) -> Response:
        return HTMLResponse(self._render("home.html", address=address_of(request)))

    def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok") if self._ready() else _not_yet(PlainTextResponse("not yet", 503))

    def readiness(self, _request: Request) -> Response:
        ready = self._ready()
        answer = JSONResponse({"ready": ready, "copies": self._copies}, 200 if ready else 503)
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

    def _render(self, template: str, *, address: Address, **values: str | int) -> str:
        return self._templates.get_template(template).render(address=address, **values)


def _not_yet(response: Response) -> Response:
    response.headers["retry-after"] = RETRY_SECONDS
    return response


def _robots(_request: Request) -> Response:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


def _favicon(_request: Request) -> Response:
    return FileResponse(_STATIC / "keepwell.svg", media_type="image/svg+xml")
