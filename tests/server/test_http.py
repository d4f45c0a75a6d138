"""What a client, an attacker and an operator meet over HTTP."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from torchnotes_kb.config import Settings
from torchnotes_kb.errors import ConfigError
from torchnotes_kb.server.http.address import Address, is_loopback, parse_address
from torchnotes_kb.server.http.login import LASTS_S, Sessions
from torchnotes_kb.server.http.run import serve_http
from torchnotes_kb.server.http.tokens import Tokens

from .clients import Served, eventually, serving, text_of
from .fakes import FakeKnowledge

pytestmark = pytest.mark.anyio

ALICE = "alice-has-a-long-token"
BOB = "bob-has-another-long-token"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream"}
ERAS = ["auto", "legacy"]


@pytest.mark.parametrize("era", ERAS)
async def test_both_eras_are_served(knowledge: FakeKnowledge, era: Any) -> None:
    async with serving(knowledge) as served, Client(f"{served.url}/mcp", mode=era) as client:
        result = await client.call_tool("search_notes", {"query": "small", "limit": 1})
    assert "too-small" in text_of(result)


@pytest.mark.parametrize("era", ERAS)
async def test_progress_comes_while_it_runs(knowledge: FakeKnowledge, era: Any) -> None:
    told: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message)
        knowledge.release.set()

    async with serving(knowledge) as served, Client(f"{served.url}/mcp", mode=era) as client:
        await client.call_tool("verify_snippet", {"code": "wait"}, progress_callback=hear)
    assert told[0] == "running in the sandbox"


CALL = {"name": "verify_snippet", "arguments": {"code": "wait"}}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def call_headers(http: httpx2.AsyncClient, era: str) -> dict[str, str]:
    """What a call is sent with: a session of the old era, or names of the new one."""
    if era == "legacy":
        opened = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT)
        return ACCEPT | {"mcp-session-id": opened.headers["mcp-session-id"]}
    named = {"mcp-method": "tools/call", "mcp-name": "verify_snippet"}
    return ACCEPT | named | {"mcp-protocol-version": "2026-07-28"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_hangs_up_has_its_run_killed(
    knowledge: FakeKnowledge, era: str
) -> None:
    async with serving(knowledge) as served:
        async with served.http() as http, anyio.create_task_group() as group:
            headers = await call_headers(http, era)
            params = CALL | ({"_meta": MODERN} if era == "auto" else {})
            request = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}

            async def call() -> None:
                await http.post("/mcp", json=request, headers=headers)

            group.start_soon(call)
            await eventually(lambda: knowledge.started)
            group.cancel_scope.cancel()  # the connection closes without a word
        await eventually(lambda: knowledge.killed)
        async with served.http() as http:
            again = await http.post("/run", data={"code": "1"})
    assert knowledge.killed == ["wait"]
    assert again.status_code == 200


async def test_a_browser_that_hangs_up_has_its_run_killed(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served:
        async with served.http() as http, anyio.create_task_group() as group:

            async def run() -> None:
                await http.post("/run", data={"code": "wait"})

            group.start_soon(run)
            await eventually(lambda: knowledge.started)
            group.cancel_scope.cancel()
        await eventually(lambda: knowledge.killed)


async def test_garbage_on_the_socket_harms_nobody_else(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served:
        for junk in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100_000):
            async with await anyio.connect_tcp("127.0.0.1", served.port) as stream:
                await stream.send(junk)
        async with served.http() as http:
            bad = await http.post("/mcp", content=b"{nonsense", headers=ACCEPT | JSON)
            good = await http.get("/?q=small")
    assert bad.status_code == 400
    assert good.status_code == 200


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1"}, 200),
        ({"host": "192.168.1.7:8900"}, 200),
        ({"host": "[::1]:8900"}, 200),
        ({"host": "kb.example.com"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "localhost:x"}, 421),
        ({"host": "evil.example\\@localhost"}, 421),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "https://tools.example.com"}, 200),
        ({"host": "kb.example.com", "origin": "https://kb.example.com"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1]:3000"}, 200),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "http://[::1].evil.example"}, 403),
        ({"host": "[::1].evil.example"}, 421),
        ({"host": ""}, 421),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/mcp", "/run"])
async def test_only_requests_meant_for_this_server_come_in(
    knowledge: FakeKnowledge, path: str, headers: dict[str, str], status: int
) -> None:
    hosts, origins = ("kb.example.com",), ("https://tools.example.com",)
    async with serving(knowledge, hosts=hosts, origins=origins) as served, served.http() as http:
        if path == "/mcp":
            answer = await http.post(path, json=INITIALIZE, headers=ACCEPT | headers)
        else:
            answer = await http.post(path, data={"code": "1"}, headers=headers)
    assert answer.status_code == status


async def test_without_a_token_only_health_and_the_way_in_are_open(
    knowledge: FakeKnowledge,
) -> None:
    async with serving(knowledge, tokens={"alice": ALICE}) as served, served.http() as http:
        answers = {
            path: (await http.get(path, headers=ACCEPT)).status_code
            for path in ("/", "/mcp", "/metrics", "/notes/too-small", "/run", "/healthz", "/login")
        }
        refused = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT)
        wrong = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT | bearer(ALICE[:-1]))
        right = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT | bearer(ALICE))
        browser = await http.get("/notes/too-small?lang=zh", headers={"accept": "text/html"})
    assert answers == {
        "/": 401,
        "/mcp": 401,
        "/metrics": 401,
        "/notes/too-small": 401,
        "/run": 401,
        "/healthz": 200,
        "/login": 200,
    }
    assert refused.headers["www-authenticate"] == 'Bearer realm="torchnotes-kb"'
    assert (wrong.status_code, right.status_code) == (401, 200)
    assert browser.status_code == 303
    assert browser.headers["location"] == "/login?next=/notes/too-small%3Flang%3Dzh"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_session_answers_only_the_token_that_opened_it(knowledge: FakeKnowledge) -> None:
    tokens = {"alice": ALICE, "bob": BOB}
    async with serving(knowledge, tokens=tokens) as served, served.http() as http:
        opened = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT | bearer(ALICE))
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        answers = [
            await http.post("/mcp", json=listing, headers=ACCEPT | session | bearer(token))
            for token in (ALICE, BOB)
        ]
    assert [answer.status_code for answer in answers] == [200, 404]


async def test_a_person_comes_in_with_a_token_once(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge, tokens={"alice": ALICE}) as served, served.http() as http:
        wrong = await http.post("/login?next=/run", data={"token": "guess"})
        right = await http.post("/login?next=/run", data={"token": ALICE})
        inside = await http.get("/run")
        mcp = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT)
        elsewhere = await http.post("/login?next=//evil.example", data={"token": ALICE})
    assert wrong.status_code == 403
    assert (right.status_code, right.headers["location"]) == (303, "/run")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert inside.status_code == 200
    assert mcp.status_code == 401
    assert elsewhere.headers["location"] == "/"


def test_a_cookie_ends_and_cannot_be_made() -> None:
    now = [1000.0]
    sessions = Sessions(clock=lambda: now[0])
    cookie = sessions.cookie_for("alice")
    assert sessions.name_of(cookie) == "alice"
    assert sessions.name_of(cookie.replace("alice", "bob")) is None
    assert Sessions().name_of(cookie) is None
    assert sessions.name_of("") is None
    now[0] += LASTS_S
    assert sessions.name_of(cookie) is None


@pytest.mark.parametrize("path", ["/mcp", "/explain"])
async def test_a_body_above_the_limit_is_refused(knowledge: FakeKnowledge, path: str) -> None:
    async with serving(knowledge, body_mib=0.1) as served, served.http() as http:
        answer = await http.post(path, content=b"text=" + b"a" * 200_000, headers=ACCEPT | JSON)
    assert answer.status_code == 413


async def test_a_client_that_asks_for_too_much_is_told_when_to_come_back(
    knowledge: FakeKnowledge,
) -> None:
    async with serving(knowledge, verify_per_minute=1) as served, served.http() as http:
        first = await http.post("/run", data={"code": "1"})
        second = await http.post("/run", data={"code": "1"})
        async with Client(f"{served.url}/mcp") as client:
            third = await client.call_tool("verify_snippet", {"code": "1"})
    assert first.status_code == 200
    assert (second.status_code, second.headers["retry-after"]) == (429, "60")
    assert third.is_error
    assert "busy: 1 runs a minute are allowed; ask again in 60 s" in text_of(third)


async def test_health_readiness_and_metrics(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served, served.http() as http:
        await http.get("/?q=small")
        await http.get("/?q=bread")
        await http.post("/run", data={"code": "raise"})
        live, ready = await http.get("/healthz"), await http.get("/readyz")
        lines = (await http.get("/metrics")).text.splitlines()
        served.app.leave()
        leaving = await http.get("/readyz")
    assert live.json() == {"status": "ok"}
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert (leaving.status_code, leaving.json()["problem"]) == (503, "shutting down")
    assert 'kb_searches_total{found="no"} 1.0' in lines
    assert 'kb_verdicts_total{outcome="raised",verdict="refuted"} 1.0' in lines
    assert "kb_runs_waiting 0.0" in lines
    assert "kb_sandbox_restarts 3.0" in lines
    assert 'kb_http_requests_total{method="POST",route="/run",status="200"} 1.0' in lines


async def test_a_missing_index_is_not_ready_says_why_and_is_seen_when_it_is_there(
    knowledge: FakeKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object, **__: object) -> None:
        raise ConfigError("index", "gone: build one with `kb index`")

    monkeypatch.setattr(knowledge, "search", search)
    async with serving(knowledge) as served, served.http() as http:
        await eventually(lambda: served.app._health._problem.startswith("index"))
        ready = await http.get("/readyz")
        monkeypatch.undo()
        mended = await http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["problem"] == "index: gone: build one with `kb index`"
    assert (mended.status_code, mended.json()["problem"]) == (200, "")


async def test_the_log_names_requests_and_never_what_was_run(
    knowledge: FakeKnowledge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="torchnotes_kb")
    async with serving(knowledge) as served, served.http() as http:
        headers = {"x-request-id": "my-id-7"}
        answer = await http.post("/run", data={"code": "secret = 1"}, headers=headers)
        await http.get("/?q=private+question")
        async with Client(f"{served.url}/mcp") as client:
            await client.call_tool("verify_snippet", {"code": "secret = 2"})
    assert answer.headers["x-request-id"] == "my-id-7"
    records = [vars(record) for record in caplog.records]
    told = json.dumps(records, default=str)
    assert "secret" not in told
    assert "private" not in told
    assert any(record.get("name_called") == "verify_snippet" for record in records)


async def test_the_log_says_which_calls_failed(
    knowledge: FakeKnowledge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="torchnotes_kb.calls")
    async with serving(knowledge) as served, Client(f"{served.url}/mcp") as client:
        await client.call_tool("get_note", {"id": "too-small"})
        await client.call_tool("get_note", {"id": "nowhere"})
    records = [vars(record) for record in caplog.records]
    called = [record["failed"] for record in records if record["name_called"] == "get_note"]
    assert called == [False, True]


async def test_snippets_are_logged_where_the_operator_asks_for_it(
    knowledge: FakeKnowledge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="torchnotes_kb")
    async with serving(knowledge, log_snippets=True) as served, served.http() as http:
        await http.post("/run", data={"code": "x = 1"})
    assert [vars(record).get("code") for record in caplog.records if "code" in vars(record)] == [
        "x = 1"
    ]


async def test_shutting_down_finishes_what_runs_and_lets_listeners_go(
    knowledge: FakeKnowledge,
) -> None:
    answers: list[Any] = []

    async def run(served: Served) -> None:
        async with served.http(timeout=20) as http:
            answers.append(await http.post("/run", data={"code": "wait"}))

    async with (
        anyio.create_task_group() as group,
        serving(knowledge) as served,
        Client(f"{served.url}/mcp", mode="legacy") as client,
    ):
        await client.list_tools()  # it also listens on GET /mcp
        group.start_soon(run, served)
        await eventually(lambda: knowledge.started)
        served.app.leave()
        served.server.should_exit = True
        await anyio.sleep(0.2)
        knowledge.release.set()
        await eventually(lambda: answers)
    assert answers[0].status_code == 200
    assert knowledge.killed == []
    assert knowledge.closed.is_set()


async def test_every_answer_keeps_browsers_strict(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served, served.http() as http:
        answers = [await http.get(path) for path in ("/", "/static/page.js", "/nowhere")]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert [answer.status_code for answer in answers] == [200, 200, 404]


def test_other_machines_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB_TOKENS", raising=False)
    with pytest.raises(ConfigError, match="reachable from other machines and no token is set"):
        serve_http(Settings(), Address("0.0.0.0", 0), knowledge=FakeKnowledge())  # noqa: S104 - refused


def test_a_taken_port_is_said_in_a_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:"):
            serve_http(Settings(), Address(*taken.getsockname()), knowledge=FakeKnowledge())


def test_addresses_are_read_as_people_write_them() -> None:
    written = ("", ":80", "10.0.0.1", "[::]:1", "::1", "kb:2")
    assert [str(parse_address(text)) for text in written] == [
        "127.0.0.1:8900",
        "127.0.0.1:80",
        "10.0.0.1:8900",
        "[::]:1",
        "[::1]:8900",
        "kb:2",
    ]
    with pytest.raises(ConfigError, match="no host:port"):
        parse_address("localhost:http")


def test_loopback_is_an_address_of_this_machine_only() -> None:
    hosts = ("127.9.9.9", "::1", "LOCALHOST", "::", "10.0.0.1", "localhost.example")
    assert [host for host in hosts if is_loopback(host)] == ["127.9.9.9", "::1", "LOCALHOST"]


def test_tokens_come_from_a_file_and_the_environment(tmp_path: Any) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# the team\nalice: {ALICE}\n\n", encoding="utf-8")
    tokens = Tokens.load(file, f"bob={BOB}")
    assert [tokens.name_of(token) for token in (ALICE, BOB, "", "x" * 30)] == [
        "alice",
        "bob",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alice: short", "entry 1 is not"),
        (ALICE, "entry 1 is not"),
        (f"alice: {ALICE}\nalice: {BOB}", "given twice"),
        ("a b: " + ALICE, "entry 1 is not"),
    ],
)
def test_a_wrong_token_file_is_refused_without_showing_tokens(
    tmp_path: Any, text: str, problem: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=problem) as caught:
        Tokens.load(file)
    assert ALICE not in str(caught.value)
    assert "short:" not in str(caught.value)
