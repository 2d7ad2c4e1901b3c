"""Who is let in: a browser of this machine that has opened the link.

The link's token is given away for two secrets, one in a cookie, one that the page keeps. Either alone is worth nothing:
a browser sends cookies to every port of a host, and so to servers of other people; what the page keeps, no request
carries by itself. So a page of somebody else's can't ask, and who reads one of the two can't either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from secrets import token_urlsafe
from urllib.parse import parse_qsl, urlencode

from cascade_flow.console.answers import Answer, Request, problem

KEY_HEADER = "x-cascade-console"
_PARAMETER = "token"
_SAFE = ("GET", "HEAD")
_OWN = ("same-origin", "none")


def _secret() -> str:
    return token_urlsafe(24)


@dataclass(frozen=True)
class Gate:
    """The door of one console: its port, and its secrets, which end with it."""

    port: int
    token: str = field(default_factory=_secret, repr=False)
    cookie: str = field(default_factory=_secret, repr=False)
    key: str = field(default_factory=_secret, repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def link(self, path: str) -> str:
        """The address that lets its bearer in."""
        return f"{self.address}{path}{'&' if '?' in path else '?'}{urlencode({_PARAMETER: self.token})}"

    def stranger(self, request: Request) -> Answer | None:
        """The refusal of what no page of ours has asked for this machine."""
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in hosts:
            return problem(
                421, "wrong-host", "This console answers under its own address only: open the link that it told."
            )
        if origin is None and request.method not in _SAFE:
            return problem(403, "wrong-origin", "What changes something must say from which page it comes.")
        if origin is not None and origin != f"http://{host}":
            return problem(403, "wrong-origin", "Another page has asked for this, and it is refused.")
        if request.headers.get("sec-fetch-site", "none") not in _OWN and not _is_opened(request):
            return problem(403, "wrong-origin", "Another site has asked for this, and it is refused.")
        return None

    def unknown(self, request: Request) -> Answer | None:
        """The refusal of who hasn't opened the link."""
        known = _same(_cookie(request, self._cookie_name), self.cookie)
        if known and _same(request.headers.get(KEY_HEADER, ""), self.key):
            return None
        return problem(
            401, "not-let-in", "Open the link that `cascade console` has told: it holds the token that lets you in."
        )

    def exchange(self, request: Request) -> Answer | None:
        """Where a link is opened: both secrets, and on to the same page without the token. None where it is no link."""
        asked = parse_qsl(request.query, keep_blank_values=True)
        given = dict(asked).get(_PARAMETER)
        if given is None:
            return None
        if not _same(given, self.token):
            return problem(
                401, "not-let-in", "The link is of a console that has ended: open the one that it told last."
            )
        left = urlencode([(name, value) for name, value in asked if name != _PARAMETER])
        where = f"/{request.path.lstrip('/')}{'?' if left else ''}{left}#key={self.key}"
        cookie = f"{self._cookie_name}={self.cookie}; HttpOnly; SameSite=Strict; Path=/"
        return Answer(303, headers={"location": where, "set-cookie": cookie, "cache-control": "no-store"})

    @property
    def _cookie_name(self) -> str:
        return f"cascade-console-{self.port}"


def _is_opened(request: Request) -> bool:
    """Whether somebody has followed a link to a page, which tells a stranger nothing."""
    return request.method in _SAFE and request.headers.get("sec-fetch-mode") == "navigate"


def _cookie(request: Request, name: str) -> str:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, known: str) -> bool:
    return compare_digest(given.encode(), known.encode())
