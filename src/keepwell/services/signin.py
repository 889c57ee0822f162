"""Signing in with an app password by HTTP Basic (RFC 7617), and slowing down those who guess.

A right password always works, however many wrong ones came before: its 128 random bits cannot be guessed, so locking
would only help whoever wants to shut a person out. Wrong ones are answered ever later, per login and per address.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from typing import Final

from keepwell.ground.clock import Clock
from keepwell.model.errors import NotSignedIn
from keepwell.model.names import LOGIN_CHARACTERS_MAX
from keepwell.services.access_log import REFUSED, SIGNED_IN, AccessLog
from keepwell.services.accounts import hash_secret
from keepwell.services.actor import Actor
from keepwell.services.directory import Directory

FREE_FAILURES: Final = 3
"""Wrong passwords in a row that are answered at once: people mistype."""
DELAY_SECONDS_MIN: Final = 0.25
DELAY_SECONDS_MAX: Final = 8.0
FORGET_SECONDS: Final = 900.0
"""After so long without a failure, the count starts again."""
TRACKED_MAX: Final = 10_000
"""Logins and addresses whose failures are remembered."""
CACHED_MAX: Final = 4_096
"""Authorization headers whose actor is remembered."""


class Throttle:
    """How long to hold back the answer to a failure, by what failed. Bounded in memory."""

    def __init__(self, clock: Clock) -> None:
        """Nothing failed yet."""
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def fail(self, key: str) -> float:
        """Count a failure of `key`; the seconds to hold back its answer."""
        now = self._clock.monotonic()
        count, last = self._failures.pop(key, (0, now))
        count = 1 if now - last > FORGET_SECONDS else count + 1
        self._failures[key] = (count, now)
        if len(self._failures) > TRACKED_MAX:
            self._failures.popitem(last=False)
        over = count - FREE_FAILURES
        return 0.0 if over <= 0 else min(DELAY_SECONDS_MIN * 2.0 ** min(over - 1, 10), DELAY_SECONDS_MAX)

    def clear(self, key: str) -> None:
        """Forget the failures of `key`: it succeeded."""
        self._failures.pop(key, None)


class SignIn:
    """Turns an Authorization header into an actor. Used on one thread (the event loop's)."""

    def __init__(self, directory: Directory, access_log: AccessLog, clock: Clock) -> None:
        """Over the directory; every use is noted in the log."""
        self._directory = directory
        self._access_log = access_log
        self._throttle = Throttle(clock)
        self._cache: OrderedDict[bytes, Actor] = OrderedDict()
        self._revision = -1

    def sign_in(self, authorization: bytes | None, address: str, agent: str) -> Actor:
        """The actor of this header. Raises NotSignedIn, with how long to hold back the answer, and Held."""
        if authorization is None:
            raise NotSignedIn("this needs a sign-in", hint="Use your login and an app password.")
        revision = self._directory.revision()
        if revision != self._revision:
            self._cache.clear()
            self._revision = revision
        actor = self._cache.get(authorization)
        if actor is None:
            actor = self._examine(authorization, address, agent)
            self._cache[authorization] = actor
            if len(self._cache) > CACHED_MAX:
                self._cache.popitem(last=False)
        self._access_log.note(actor.account, actor.by, address, agent, SIGNED_IN)
        return actor

    def _examine(self, authorization: bytes, address: str, agent: str) -> Actor:
        login, secret = _parse_basic(authorization)
        password = self._directory.password_by_hash(hash_secret(secret))
        account = self._directory.account_document(login)
        if account is None or password is None or password.account != account.account or account.disabled:
            if account is not None:
                self._access_log.note(account.account, "", address, "", REFUSED)
            raise self._refusal(login, address)
        self._throttle.clear(f"login {login}")
        return Actor(
            account.account,
            login,
            f"app-password:{password.label}",
            self._directory.shared_with(account.account),
        )

    def _refusal(self, login: str, address: str) -> NotSignedIn:
        delay = max(self._throttle.fail(f"login {login}"), self._throttle.fail(f"address {address}"))
        return NotSignedIn(
            "the login or the app password is wrong, or the account is disabled",
            hint="Use an app password made by: keepwell app-password add LOGIN",
            delay_seconds=delay,
        )


def _parse_basic(authorization: bytes) -> tuple[str, str]:
    """(login, password) of a Basic header. Raises NotSignedIn."""
    scheme, _, token = authorization.partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError
        login, colon, secret = base64.b64decode(token.strip(), validate=True).decode().partition(":")
        if not colon or len(login) > LOGIN_CHARACTERS_MAX:
            raise ValueError
    except (ValueError, binascii.Error):
        raise NotSignedIn(
            "the Authorization header is not a Basic one", hint="Use Basic with login and app password."
        ) from None
    return login.strip().lower(), secret
