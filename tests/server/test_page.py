"""The page for people: what is served, that it is safe, and how it behaves in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from .clients import serving
from .fakes import HIT, NOTE, FakeKnowledge, said

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = os.environ.get("KB_SCREENSHOTS")
"""Directory to leave screenshots in, for people to look at."""
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.mark.anyio
async def test_a_note_is_shown_in_both_languages_with_its_proofs(
    knowledge: FakeKnowledge,
) -> None:
    async with serving(knowledge) as served, served.http() as http:
        english = (await http.get("/notes/too-small")).text
        chinese = (await http.get("/notes/too-small?lang=zh")).text
        preferred = (await http.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"})).text
    assert "<h1>The matrix is too small</h1>" in english
    assert "✓ proven on torch 2.13.0, Python 3.11.7 · <time>2026-11-20</time>" in english
    assert "<h1>矩阵太小</h1>" in chinese
    assert "已在 torch 2.13.0" in chinese
    assert 'lang="zh-Hans"' in preferred


@pytest.mark.anyio
async def test_code_in_a_hit_is_marked_and_its_html_is_not_obeyed(
    knowledge: FakeKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = HIT.model_copy(update={"snippet": "Call `x.item()`, not `<b>`, and `cut"})
    result = knowledge.search("small").model_copy(update={"hits": (hit,)})
    monkeypatch.setattr(knowledge, "search", lambda *_, **__: result)
    async with serving(knowledge) as served, served.http() as http:
        page = (await http.get("/", params={"q": "small"})).text
    assert "Call <code>x.item()</code>, not <code>&lt;b&gt;</code>, and `cut" in page


@pytest.mark.anyio
async def test_html_in_a_note_a_question_and_an_output_is_shown_and_not_obeyed(
    knowledge: FakeKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = f"{EVIL} [x](javascript:alert(1))"
    section = NOTE.sections[0].model_copy(update={"blocks": said(evil, evil)})
    note = NOTE.model_copy(update={"title": EVIL, "sections": (section, *NOTE.sections[1:])})
    monkeypatch.setattr(knowledge, "note", lambda _: note)
    async with serving(knowledge) as served, served.http() as http:
        pages = [
            await http.get("/notes/too-small"),
            await http.get("/", params={"q": f"small {EVIL}"}),
            await http.get("/", params={"q": "x", "tag": EVIL, "lang": EVIL, "kind": EVIL}),
            await http.post("/run", data={"code": EVIL, "expect": EVIL}),
            await http.post("/explain", data={"text": EVIL}),
            await http.get(f"/notes/{EVIL}"),
            await http.get("/login", params={"next": f"/{EVIL}"}),
        ]
    for page in pages:
        assert "<script>document" not in page.text
        assert "<img src=x" not in page.text
        assert 'href="javascript:' not in page.text


@pytest.mark.anyio
async def test_everything_works_without_script(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served, served.http() as http:
        found = (await http.get("/?q=small")).text
        nothing = (await http.get("/?q=bread")).text
        tagged = (await http.get("/?tag=linear")).text
        ran = (await http.post("/run", data={"code": "raise", "expect": "raises ValueError"})).text
        explained = (await http.post("/explain", data={"text": "size 2"})).text
        missing = await http.get("/notes/small")
    assert 'href="/notes/too-small?lang=en"' in found
    assert "No note covers this." in nothing
    assert tagged.count('class="hit"') == 1
    assert "✓ Proven" in ran
    assert "It has 2 rows, not 3." in explained
    assert missing.status_code == 404
    assert 'href="/notes/too-small?lang=en"' in missing.text


@pytest.mark.anyio
async def test_failing_and_working_examples_stand_side_by_side(knowledge: FakeKnowledge) -> None:
    async with serving(knowledge) as served, served.http() as http:
        text = (await http.get("/notes/too-small")).text
    pair = text[text.index("row pair") :]
    assert re.findall(r"<h2>(\w+)</h2>", pair)[:3] == ["Fails", "Works", "Why"]


@contextmanager
def served_in_a_thread(knowledge: FakeKnowledge) -> Iterator[str]:
    """The server beside a browser that is driven from this thread."""
    ready, done, url = threading.Event(), threading.Event(), [""]

    async def serve() -> None:
        async with serving(knowledge) as served:
            url[0] = served.url
            ready.set()
            await anyio.to_thread.run_sync(done.wait)

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    ready.wait()
    try:
        yield url[0]
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, knowledge: FakeKnowledge) -> Iterator[Any]:
    """Opens a path in a new window; complaints of the browser fail the test."""
    complaints: list[str] = []
    contexts: list[Any] = []
    with served_in_a_thread(knowledge) as url:

        def hear(said: ConsoleMessage) -> None:
            if said.type == "error":
                complaints.append(said.text)

        def go(path: str, **options: Any) -> Page:
            context = browser.new_context(**({"locale": "en-US"} | options))
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", hear)
            page.goto(url + path)
            return page

        yield go
        for context in contexts:
            context.close()
    assert complaints == []


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_hits_come_while_typing_and_keys_lead_to_a_note(visit: Any) -> None:
    page = visit("/")
    shot(page, "home")
    page.keyboard.type("small")
    page.wait_for_selector("a.hit")
    assert page.url.endswith("?lang=en&q=small")
    shot(page, "hits")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.className") == "hit"
    page.keyboard.press("Enter")
    page.wait_for_url("**/notes/too-small*")
    page.keyboard.press("/")
    page.wait_for_selector("#q")


def test_enter_in_the_search_opens_the_first_hit(visit: Any) -> None:
    page = visit("/")
    page.keyboard.type("small")
    page.wait_for_selector("a.hit")
    page.keyboard.press("Enter")
    page.wait_for_url("**/notes/too-small*")


def test_a_search_within_a_topic_takes_the_place_of_its_list(visit: Any) -> None:
    page = visit("/?tag=shapes")
    assert page.locator("a.hit").count() == 2
    page.keyboard.type("small")
    page.wait_for_url("**q=small")
    assert page.locator("a.hit").count() == 10
    page.fill("#q", "")
    page.wait_for_url("**tag=shapes")
    assert page.locator("a.hit").count() == 2
    assert not page.is_visible("#welcome")


def test_what_was_typed_and_the_language_stay(visit: Any) -> None:
    page = visit("/")
    page.keyboard.type("small")
    page.wait_for_url("**q=small")
    page.click("#language")
    page.wait_for_url("**/?lang=zh&q=small")
    page.click("a.hit")
    page.wait_for_url("**/notes/too-small*")
    page.keyboard.press("/")
    page.wait_for_url("**/?lang=zh")


def test_an_example_is_edited_and_run_in_place(visit: Any, knowledge: FakeKnowledge) -> None:
    page = visit("/notes/too-small")
    example = page.locator("form.example.fails")
    example.get_by_role("button", name="Run it here").click()
    example.locator(".ran.proven").wait_for()
    shot(page, "note-ran")
    assert page.url.endswith("/notes/too-small")
    example.get_by_role("button", name="Edit").click()
    area = example.locator("textarea")
    area.fill("x = 1")
    area.press("Control+Enter")
    example.locator(".ran").wait_for()
    assert knowledge.started[-1] == "x = 1"
    assert knowledge.seen[-1]["expect"] == "raises ValueError: size 2 is smaller than 3"


def test_a_run_is_stopped_by_a_person(visit: Any, knowledge: FakeKnowledge) -> None:
    page = visit("/run")
    page.fill("#code", "wait")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Run", exact=True).wait_for()
    page.wait_for_timeout(50)
    while not knowledge.killed:
        page.wait_for_timeout(10)
    assert knowledge.killed == ["wait"]


def test_a_traceback_pasted_into_the_search_is_explained(visit: Any) -> None:
    page = visit("/")
    page.evaluate(
        """() => { const data = new DataTransfer();
        data.setData("text", "Traceback\\nValueError: size 2 is smaller than 3");
        document.getElementById("q").dispatchEvent(
          new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})); }"""
    )
    page.wait_for_selector(".diagnosis.found")
    shot(page, "explained")
    assert "/explain" in page.url
    assert "It has 2 rows, not 3." in page.inner_text(".diagnosis")


def test_the_theme_follows_the_system_and_then_the_person(visit: Any) -> None:
    page = visit("/", color_scheme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    light = page.evaluate(paper)
    page.reload()
    assert (dark, light) == ("rgb(22, 21, 20)", "rgb(251, 250, 248)")
    assert page.evaluate(paper) == light


@pytest.mark.parametrize("path", ["/", "/?q=small", "/notes/too-small?lang=zh", "/run", "/explain"])
def test_a_phone_never_scrolls_sideways(visit: Any, path: str) -> None:
    page = visit(path, viewport={"width": 360, "height": 740}, color_scheme="dark")
    shot(page, f"phone{re.sub(r'[^a-z]+', '-', path)}")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_every_control_has_a_name(visit: Any) -> None:
    for path in ("/", "/notes/too-small", "/run", "/explain", "/login"):
        page = visit(path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll(
                 "button, input:not([type=hidden]), textarea:not([hidden]), a")]
               .filter(e => !(e.innerText || e.ariaLabel || e.title || e.labels?.length))
               .map(e => e.outerHTML)"""
        )
        assert nameless == []
