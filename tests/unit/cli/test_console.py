"""The console's server: who is let in, what is passed on, and what it says when there is nobody to pass it on to."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from cascade_flow.client import Client
from cascade_flow.console import Console, Wishes, page
from cascade_flow.console.answers import GUARDED, Answer, Request
from cascade_flow.console.engine import Engine
from cascade_flow.console.gate import KEY_HEADER, Gate
from cascade_flow.console.site import Site
from cascade_flow.errors import ConfigurationError
from cascade_flow.signing import StaticKeys
from unit.cli.conftest import Api, Done, problem
from unit.cli.documents import BUSY_ID, RUN_ID

PORT = 4580
HERE = f"127.0.0.1:{PORT}"
FIRST_LOAD_BYTES = 300_000


def client_at(url: str) -> Client:
    return Client(url, region="us-east-1", session=StaticKeys("AKIAEXAMPLE", "secret"))


def site_of(open_client: Callable[[], Client], **how: Any) -> Site:
    return Site(Gate(PORT), Engine(open_client), page.files(), **how)


@pytest.fixture
def site(api: Api) -> Site:
    return site_of(lambda: client_at(api.url))


def known(site: Site, **changed: str | None) -> dict[str, str]:
    """The headers of a page of ours that was let in, some of them changed or left out."""
    headers: dict[str, str | None] = {
        "host": HERE,
        "origin": f"http://{HERE}",
        "sec-fetch-site": "same-origin",
        "cookie": f"other=1; cascade-console-{PORT}={site.gate.cookie}",
        KEY_HEADER: site.gate.key,
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}


def ask(site: Site, target: str, method: str = "GET", body: bytes = b"", **changed: str | None) -> Answer:
    return site.answer(Request(method, target, known(site, **changed), body))


def code(answer: Answer) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    told = json.loads(answer.body)
    assert told["status"] == answer.status
    assert told["detail"]
    return answer.status, told["code"]


class TestWhoIsLetIn:
    def test_the_link_gives_both_secrets_and_keeps_the_token_out_of_the_address(self, site: Site) -> None:
        link = urlsplit(site.gate.link(f"/runs/{RUN_ID}"))
        answer = site.answer(Request("GET", f"{link.path}?{link.query}&step=a%2Fb", {"host": HERE}))
        assert answer.status == 303
        assert answer.headers["location"] == f"/runs/{RUN_ID}?step=a%2Fb#key={site.gate.key}"
        cookie = f"cascade-console-{PORT}={site.gate.cookie}; HttpOnly; SameSite=Strict; Path=/"
        assert answer.headers["set-cookie"] == cookie
        assert site.gate.token not in f"{answer.headers} {answer.body!r}"

    def test_a_page_that_was_let_in_is_answered(self, site: Site, api: Api) -> None:
        answer = ask(site, f"/api/runs/{RUN_ID}?payloads=false")
        assert (answer.status, json.loads(answer.body)["run"]["runId"]) == (200, RUN_ID)
        assert api.asked == [(f"GET /runs/{RUN_ID}?payloads=false", None)]

    @pytest.mark.parametrize(
        ("changed", "refused"),
        [
            ({"host": "evil.example"}, (421, "wrong-host")),
            ({"host": "127.0.0.1:80"}, (421, "wrong-host")),
            ({"host": None}, (421, "wrong-host")),
            ({"origin": "http://evil.example"}, (403, "wrong-origin")),
            ({"origin": "http://127.0.0.1:9999"}, (403, "wrong-origin")),
            ({"origin": "null"}, (403, "wrong-origin")),
            ({"sec_fetch_site": "cross-site", "origin": None}, (403, "wrong-origin")),
            ({"sec_fetch_site": "same-site", "origin": None}, (403, "wrong-origin")),
            ({"cookie": None}, (401, "not-let-in")),
            ({"cookie": f"cascade-console-{PORT}=guessed"}, (401, "not-let-in")),
            ({"cookie": "cascade-console-9999=x; =;;"}, (401, "not-let-in")),
            ({KEY_HEADER: None}, (401, "not-let-in")),
            ({KEY_HEADER: "gu€ssed"}, (401, "not-let-in")),
        ],
    )
    @pytest.mark.parametrize("target", ["/api/runs", "/whole/runs/x", "/about"])
    def test_nobody_else_is(
        self, site: Site, api: Api, target: str, changed: dict[str, str | None], refused: tuple[int, str]
    ) -> None:
        assert code(ask(site, target, **changed)) == refused
        assert api.asked == []

    def test_the_cookie_of_another_console_is_worth_nothing(self, site: Site) -> None:
        other = Gate(PORT)
        assert code(ask(site, "/api/runs", cookie=f"cascade-console-{PORT}={other.cookie}"))[0] == 401

    def test_what_changes_something_says_where_it_comes_from(self, site: Site, api: Api) -> None:
        assert code(ask(site, "/api/runs/x/cancel", "POST", b"{}", origin=None)) == (403, "wrong-origin")
        assert api.asked == []

    @pytest.mark.parametrize("token", ["", "guessed", "%E2%82%AC"])
    def test_a_link_of_another_console_opens_nothing(self, site: Site, token: str) -> None:
        assert code(ask(site, f"/runs?token={token}")) == (401, "not-let-in")

    def test_a_link_leads_nowhere_else(self, site: Site) -> None:
        answer = ask(site, f"//evil.example/runs?token={site.gate.token}")
        assert answer.headers["location"].startswith("/evil.example/")

    def test_another_site_may_link_to_a_page_but_learns_nothing(self, site: Site) -> None:
        followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "origin": None}
        assert ask(site, "/runs", **followed).status == 200
        assert ask(site, "/runs", sec_fetch_site="cross-site", origin=None).status == 403

    def test_the_secrets_are_new_each_time_and_never_shown(self) -> None:
        one, other = Gate(PORT), Gate(PORT)
        assert len({one.token, one.cookie, one.key, other.token, other.cookie, other.key}) == 6
        assert not [each for each in (one.token, one.cookie, one.key) if each in repr(one)]


class TestReadOnly:
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
    def test_every_action_is_refused(self, api: Api, method: str) -> None:
        site = site_of(lambda: client_at(api.url), read_only=True)
        assert code(ask(site, f"/api/runs/{BUSY_ID}/cancel", method, b"{}")) == (403, "read-only")
        assert api.asked == []

    def test_what_is_read_is_answered_and_the_page_is_told(self, api: Api) -> None:
        site = site_of(lambda: client_at(api.url), read_only=True, about={"name": "prod"})
        assert ask(site, f"/api/runs/{RUN_ID}").status == 200
        assert json.loads(ask(site, "/about").body) == {"readOnly": True, "name": "prod"}


class TestWhatIsPassedOn:
    def test_an_action_with_its_body(self, site: Site, api: Api) -> None:
        answer = ask(site, f"/api/runs/{BUSY_ID}/cancel", "POST", b'{"reason": "wrong input"}')
        assert (answer.status, json.loads(answer.body)["run"]["status"]) == (200, "cancelled")
        assert api.last_body == {"reason": "wrong input"}

    def test_a_refusal_as_it_came(self, site: Site, api: Api) -> None:
        api.routes["POST /runs/x/retry"] = problem(409, "run-not-retryable", "it has completed")
        assert code(ask(site, "/api/runs/x/retry", "POST", b"{}")) == (409, "run-not-retryable")

    @pytest.mark.parametrize(
        "path",
        [
            "/api/../health",
            "/api/runs/../../_admin",
            "/api/runs/%2e%2e/%2E%2E/x",
            "/api/./runs",
            "/api//evil.example/",
            "/api",
            "/api/",
            "/api/runs\\x",
            "/api/a b",
            "/api/a\r\nhost: evil",
            "/api/\x00",
            "/api/ünï",
            "/api/runs#fragment",
            "/api/runs/{}",
        ],
    )
    def test_no_path_that_leads_elsewhere(self, site: Site, api: Api, path: str) -> None:
        assert code(ask(site, path)) == (400, "request-invalid")
        assert api.asked == []

    def test_a_run_whole(self, site: Site) -> None:
        assert json.loads(ask(site, f"/whole/runs/{RUN_ID}").body)["run"]["runId"] == RUN_ID
        assert code(ask(site, "/whole/runs/no-such")) == (404, "run-not-found")

    @pytest.mark.parametrize("path", ["/whole", "/whole/workflows/x", "/whole/runs/%2e%2e", "/whole/runs/a/b"])
    def test_nothing_else_whole(self, site: Site, path: str) -> None:
        assert code(ask(site, path)) == (404, "route-not-found")

    def test_our_own_addresses_are_read_only(self, site: Site) -> None:
        assert code(ask(site, f"/whole/runs/{RUN_ID}", "POST")) == (405, "method-not-allowed")
        assert code(ask(site, "/about", "DELETE")) == (405, "method-not-allowed")
        assert code(ask(site, "/runs", "POST")) == (405, "method-not-allowed")


class TestAStackThatIsAway:
    def test_is_told_and_looked_for_again(self, api: Api) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            addresses = [gone, api.url]
            site = site_of(lambda: client_at(addresses.pop(0)))
            answer = ask(site, f"/api/runs/{RUN_ID}")
        assert code(answer) == (503, "backend-unavailable")
        assert answer.headers["retry-after"] == "2"
        assert ask(site, f"/api/runs/{RUN_ID}").status == 200

    def test_may_not_be_there_at_all(self) -> None:
        def nowhere() -> Client:
            raise ConfigurationError("no local engine is running")

        assert code(ask(site_of(nowhere), "/api/runs")) == (503, "configuration")

    def test_started_anew_with_other_keys_is_found(self, api: Api) -> None:
        api.routes[f"GET /runs/{RUN_ID}"] = [(403, {"message": "Forbidden"}), (200, {})]
        opened: list[str] = []

        def opens() -> Client:
            opened.append(api.url)
            return client_at(api.url)

        site = site_of(opens)
        assert [ask(site, f"/api/runs/{RUN_ID}").status for _ in range(3)] == [403, 200, 200]
        assert len(opened) == 2


class TestThePage:
    def test_each_place_in_it_is_the_same_document(self, site: Site) -> None:
        index = ask(site, "/").body
        assert {ask(site, path).body for path in ("/runs", f"/runs/{RUN_ID}", "/workflows/a%2Fb", "/health")} == {index}

    def test_has_nothing_inline_and_nothing_from_elsewhere(self) -> None:
        text = page.files()[page.INDEX].decode()
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", text)
        links = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert links
        assert [link for link in links if link not in page.files()] == []

    def test_is_known_by_its_tag(self, site: Site) -> None:
        first = ask(site, "/assets/console.js")
        assert (first.status, first.headers["cache-control"]) == (200, "no-cache")
        again = ask(site, "/assets/console.js", if_none_match=first.headers["etag"])
        assert (again.status, again.body) == (304, b"")

    @pytest.mark.parametrize("path", ["/assets/../server.py", "/../../etc/passwd.txt", "/built/index.html", "/x.js"])
    def test_is_all_that_can_be_read(self, site: Site, path: str) -> None:
        assert code(ask(site, path)) == (404, "route-not-found")

    def test_loads_quickly(self) -> None:
        assert sum(len(gzip.compress(content)) for content in page.files().values()) <= FIRST_LOAD_BYTES


@dataclass(frozen=True)
class Said:
    """An answer as it comes over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def served(api: Api, **wishes: Any) -> Iterator[Console]:
    with Console(lambda: client_at(api.url), Wishes(**wishes)) as console:
        thread = Thread(target=console.serve)
        thread.start()
        try:
            yield console
        finally:
            console.stop()
            thread.join()


def over_the_wire(console: Console, method: str, target: str, **headers: str) -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", console.site.gate.port, timeout=5)
    connection.request(method, target, headers=headers)
    answer = connection.getresponse()
    said = Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return said


class TestTheSocket:
    def test_every_answer_is_guarded(self, api: Api) -> None:
        with served(api, port=0) as console:
            key = {KEY_HEADER: console.site.gate.key}
            key["cookie"] = f"cascade-console-{console.site.gate.port}={console.site.gate.cookie}"
            asked = [("GET", "/runs", {}), ("GET", "/api/runs", {}), ("GET", f"/api/runs/{RUN_ID}", key)]
            said = [over_the_wire(console, method, target, **headers) for method, target, headers in asked]
        assert [each.status for each in said] == [200, 401, 200]
        for each in said:
            assert GUARDED.items() <= each.headers.items()
            assert "unsafe" not in each.headers["content-security-policy"]
            assert not [name for name in each.headers if name.startswith("access-control")]

    def test_only_this_machine_is_listened_to(self, api: Api) -> None:
        with served(api, port=0) as console:
            assert console._server.server_address[0] == "127.0.0.1"

    def test_what_says_no_length_or_too_much_is_not_read(self, api: Api) -> None:
        with served(api, port=0) as console:
            chunked = over_the_wire(console, "POST", "/api/runs", **{"transfer-encoding": "chunked"})
            assert chunked.status == 411
            assert over_the_wire(console, "POST", "/api/runs", **{"content-length": "-1"}).status == 411
            assert over_the_wire(console, "POST", "/api/runs", **{"content-length": "99999999"}).status == 413
            assert over_the_wire(console, "HEAD", "/runs").body == b""

    def test_a_port_that_is_taken_is_told_and_the_usual_one_given_up(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served(api, port=0) as console:
            taken = console.site.gate.port
            with pytest.raises(ConfigurationError, match=f"port {taken} can't be listened on"):
                Console(lambda: client_at(api.url), Wishes(port=taken))
            monkeypatch.setattr("cascade_flow.console.server.DEFAULT_PORT", taken)
            with Console(lambda: client_at(api.url), Wishes()) as another:
                assert another.site.gate.port != taken


class TestTheVerb:
    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        links: list[str] = []
        monkeypatch.setattr("webbrowser.open", links.append)
        monkeypatch.setattr(Console, "serve", lambda _: None)
        return links

    def test_opens_the_link_that_it_tells(self, cascade: Callable[..., Done], opened: list[str]) -> None:
        done = cascade("console", RUN_ID, "--json")
        assert (done.status, opened) == (0, [done.json["url"]])
        assert urlsplit(opened[0]).path == f"/runs/{RUN_ID}"

    def test_opens_nothing_where_nobody_wants_it(self, cascade: Callable[..., Done], opened: list[str]) -> None:
        done = cascade("console", "--no-open")
        assert (done.status, opened) == (0, [])
        assert re.search(r"http://127\.0\.0\.1:\d+/runs\?token=\S+", done.out)

    def test_is_told_by_run(self, cascade: Callable[..., Done]) -> None:
        assert f"cascade console {RUN_ID}" in cascade("run", "mishaps").out

    def test_ends_with_ctrl_c_and_leaves_nothing(self, api: Api) -> None:
        words = ["console", "--no-open", "--json", "--url", api.url, "--region", "us-east-1"]
        keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
        command = [sys.executable, "-m", "cascade_flow.cli", *words]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | keys
        ) as process:
            assert process.stdout is not None
            port = urlsplit(json.loads(process.stdout.readline())["url"]).port
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port or 0)) != 0
