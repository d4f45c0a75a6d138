"""What a client gets from the tools, resources and prompts, in memory, in both eras."""
# ruff: noqa: E501 - snapshots of our own text

from __future__ import annotations

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.shared.exceptions import MCPError
from mcp.types import (
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from torchnotes_kb.search.model import Near
from torchnotes_kb.server.answers.budget import tokens

from .clients import connected, eventually, text_of
from .fakes import FakeKnowledge

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_both_eras_list_the_same_five_tools(knowledge: FakeKnowledge, era: str) -> None:
    async with connected(knowledge, era=era) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == snapshot(
        ["search_notes", "explain_error", "get_note", "verify_snippet", "list_topics"]
    )


async def test_tools_say_when_to_use_them_and_when_not(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: tool.description for tool in tools} == snapshot(
        {
            "search_notes": """\
Find notes about PyTorch errors and idioms, in English or Chinese.

Use it for "how do I…", "what is the difference between…" and "why does…" questions about PyTorch, before answering from memory: every note carries code that was run, with the version of torch it was proven on. Do not use it for a traceback (explain_error reads it better) or for things that are not PyTorch. Returns ids with calibrated scores; read the best with get_note. No hits means that no note covers it.\
""",
            "explain_error": """\
Say what a PyTorch error or warning means and what to change, in the user's own values.

Use it whenever a traceback or error message of a PyTorch program is at hand; paste it whole and unedited. Do not use it for questions without an error (search_notes) or to run code (verify_snippet explains what the code raises by itself). found=false means that no note explains it: do not present the alternatives as the cause.\
""",
            "get_note": """\
Read one note: the cause, code that fails, code that works, and what running them showed.

Use it after search_notes or explain_error, before quoting a note or its code. Do not guess ids.\
""",
            "verify_snippet": """\
Run Python in an isolated, real PyTorch and prove or refute a claim about what it does.

Use it before telling a user that code works, raises or prints something, and to reproduce an error in a few lines. The code must be complete (imports included). It has a CPU, no network, no files of the user's and no state from earlier calls: do not use it to change anything, to download, or to train for longer than the limit. What the code raises is explained in the same answer.\
""",
            "list_topics": """\
Say what the notes are about: tags, how many notes each has, some of their ids.

Use it to see whether a subject is covered at all, or for tags to narrow a search. Do not use it to answer a question: search_notes does that.\
""",
        }
    )


async def test_only_verify_is_no_read_and_nothing_reaches_outside(
    knowledge: FakeKnowledge,
) -> None:
    async with connected(knowledge) as client:
        tools = (await client.list_tools()).tools
    hints = {
        tool.name: (tool.annotations.read_only_hint, tool.annotations.open_world_hint)
        for tool in tools
        if tool.annotations
    }
    assert hints == {
        "search_notes": (True, False),
        "explain_error": (True, False),
        "get_note": (True, False),
        "verify_snippet": (False, False),
        "list_topics": (True, False),
    }


async def test_a_search_says_the_same_in_text_and_in_structure(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", {"query": "small matrix", "limit": 1})
    assert text_of(result) == snapshot("""\
1 note(s), best first; score: probability that the note answers.

1. The matrix is too small
   id too-small · error · score 0.93 · found by exact signature #1, words #1, meaning #2
   examples: 2 proven on torch 2.13.0, 2026-11-20
   > Symptom:
   > Something is too small.

Next: get_note(id="too-small") for the cause and proven code.\
""")
    assert result.structured_content == snapshot(
        {
            "query": "small matrix",
            "language": "en",
            "hits": [
                {
                    "note_id": "too-small",
                    "title": "The matrix is too small",
                    "kind": "error",
                    "section": "Symptom",
                    "snippet": "Something is too small.",
                    "score": 0.93,
                    "found_by": ["exact signature #1", "words #1", "meaning #2"],
                    "proof": {
                        "proven": 2,
                        "refuted": 0,
                        "skipped": 0,
                        "stale": 0,
                        "torch": ["2.13.0"],
                        "when": "2026-11-20",
                    },
                }
            ],
            "near": [],
            "left_out": [],
        }
    )


async def test_filters_reach_the_search(knowledge: FakeKnowledge) -> None:
    arguments = {"query": "x", "kind": "error", "tags": ["shapes"], "torch": "2.6", "limit": 2}
    async with connected(knowledge) as client:
        await client.call_tool("search_notes", arguments)
    assert knowledge.seen == [{"kind": "error", "tags": ("shapes",), "torch": "2.6", "limit": 2}]


async def test_nothing_found_names_near_notes_as_no_answer(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", {"query": "how to bake bread"})
    assert not result.is_error
    assert text_of(result) == snapshot("""\
No note covers this; do not answer from the titles below.
- near, but not believed to answer: The matrix is too small (too-small)
Next: try the exact error message or other words, or list_topics() for what is covered. A traceback belongs to explain_error.\
""")


@pytest.mark.parametrize("most", [400, 2000])
async def test_a_search_stays_within_its_budget_and_names_what_it_left_out(
    knowledge: FakeKnowledge, most: int
) -> None:
    arguments = {"query": "small", "limit": 20, "max_tokens": most}
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", arguments)
    answer = result.structured_content
    assert answer is not None
    assert tokens(text_of(result)) <= most
    named = answer["left_out"][0]
    shown = len(answer["hits"])
    assert f"{20 - shown} more hit(s): note-{shown - 1}" in named
    assert named in text_of(result)


async def test_a_note_comes_whole_or_says_which_sections_are_missing(
    knowledge: FakeKnowledge,
) -> None:
    async with connected(knowledge) as client:
        short = await client.call_tool("get_note", {"id": "too-small", "max_tokens": 500})
        whole = await client.call_tool("get_note", {"id": "too-small", "max_tokens": 5000})
    assert tokens(text_of(short)) <= 500
    assert text_of(short) == snapshot("""\
# The matrix is too small

`too-small` · torch >=2.0 · shapes · linear

## Symptom

Something <b>is</b> too small.

## Fails

**must raise `ValueError: size 2 is smaller than 3`**

```python
raise ValueError("size 2 is smaller than 3")
```

*proven on torch 2.13.0, Python 3.11.7*

## Why

It has fewer rows.

## Works

```python
assert 3 == 1 + 2
```

*proven on torch 2.13.0, Python 3.11.7*

## Also

Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also A
[… 1507 characters left out …]
o Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also Also \n\

See also: `too-large`

Sources:
- <https://docs.pytorch.org/docs/stable/tensors.html>

(examples: 2 proven on torch 2.13.0, 2026-11-20)
Left out: the middle of “Also”: get_note(id="too-small", max_tokens=1097) or the resource note://too-small\
""")
    assert "## Also" in text_of(whole)
    assert whole.structured_content is not None
    assert whole.structured_content["left_out"] == []


async def test_the_budget_that_a_cut_note_names_is_enough(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        short = await client.call_tool("get_note", {"id": "too-small", "max_tokens": 400})
        enough = int(text_of(short).partition("max_tokens=")[2].partition(")")[0])
        whole = await client.call_tool("get_note", {"id": "too-small", "max_tokens": enough})
    assert whole.structured_content is not None
    assert whole.structured_content["left_out"] == []


async def test_a_note_in_chinese_is_chinese(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("get_note", {"id": "too-small", "language": "zh"})
    assert text_of(result).startswith("# 矩阵太小")


async def test_an_unknown_id_names_near_ones_and_the_way_to_find_ids(
    knowledge: FakeKnowledge,
) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("get_note", {"id": "too-smal"})
        lost = await client.call_tool("get_note", {"id": "small-matrix"})
    assert result.is_error
    assert text_of(lost) == snapshot(
        "no note 'small-matrix'. Near ids: too-small. Find ids with search_notes."
    )


async def test_an_error_is_explained_in_the_users_values(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("explain_error", {"text": "size 2 is smaller than 3"})
    assert text_of(result) == snapshot("""\
ValueError: size 2 is smaller than 3
In main at train.py:7: f(x)
(4 frames of torch folded)

The matrix is too small (id too-small, score 0.97)
examples: 2 proven on torch 2.13.0, 2026-11-20

It has 2 rows, not 3.
From the message: found = 2, expected = 3

What to change:
Use 3 rows.

- Other cause: The matrix is too large (id too-large, 0.20), if it is large

Next: get_note(id="too-small") for proven failing and working code.\
""")
    assert result.structured_content == snapshot(
        {
            "found": True,
            "error_type": "ValueError",
            "message": "size 2 is smaller than 3",
            "note_id": "too-small",
            "title": "The matrix is too small",
            "score": 0.97,
            "by_message": True,
            "unexplained": "",
            "undecided": False,
            "tell": "",
            "language": "en",
            "explanation": "It has 2 rows, not 3.",
            "remedy": "Use 3 rows.",
            "captured": {"found": "2", "expected": "3"},
            "user_frame": [{"file": "train.py", "line": 7, "function": "main", "source": "f(x)"}],
            "torch_frames": 4,
            "alternatives": [
                {
                    "note_id": "too-large",
                    "title": "The matrix is too large",
                    "score": 0.2,
                    "tell": "it is large",
                }
            ],
            "site": [],
            "wordings": [],
            "proof": {
                "proven": 2,
                "refuted": 0,
                "skipped": 0,
                "stale": 0,
                "torch": ["2.13.0"],
                "when": "2026-11-20",
            },
            "left_out": [],
        }
    )


async def test_an_unknown_error_is_not_explained_away(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("explain_error", {"text": "KeyError: 'a'"})
    assert text_of(result) == snapshot("""\
No error found in the text.

No note explains this; what follows is not an explanation by the notes.

Next: search_notes with the message's key words, or verify_snippet with a small program that reproduces it.\
""")


async def test_a_proven_claim_says_so_with_the_diagnosis(knowledge: FakeKnowledge) -> None:
    arguments = {"code": "raise ValueError", "expect": "raises ValueError: size"}
    async with connected(knowledge) as client:
        result = await client.call_tool("verify_snippet", arguments)
    assert text_of(result) == snapshot("""\
PROVEN: raises ValueError: size
Outcome raised in 12 ms on torch 2.13.0, Python 3.11.7, linux-x86_64 (isolation: namespaces, peak 200 MiB)

Exception:
Traceback (most recent call last):
  File "snippet.py", line 1, in <module>
    raise ValueError("size 2 is smaller than 3")
ValueError: size 2 is smaller than 3

What the exception means:
The matrix is too small (id too-small, score 0.97)
examples: 2 proven on torch 2.13.0, 2026-11-20

It has 2 rows, not 3.
From the message: found = 2, expected = 3

What to change:
Use 3 rows.

- Other cause: The matrix is too large (id too-large, 0.20), if it is large

Next: get_note(id="too-small") for proven failing and working code.\
""")
    assert result.structured_content == snapshot(
        {
            "verdict": "proven",
            "claim": "raises ValueError: size",
            "reason": "",
            "outcome": "raised",
            "exception": [
                {
                    "type": "ValueError",
                    "message": "size 2 is smaller than 3",
                    "traceback": """\
Traceback (most recent call last):
  File "snippet.py", line 1, in <module>
    raise ValueError("size 2 is smaller than 3")
ValueError: size 2 is smaller than 3\
""",
                }
            ],
            "stdout": "",
            "stderr": "",
            "warnings": [],
            "duration_ms": 12.0,
            "peak_mib": 200.0,
            "torch": "2.13.0",
            "python": "3.11.7",
            "platform": "linux-x86_64",
            "isolation": "namespaces",
            "diagnosis": [
                {
                    "found": True,
                    "error_type": "ValueError",
                    "message": "size 2 is smaller than 3",
                    "note_id": "too-small",
                    "title": "The matrix is too small",
                    "score": 0.97,
                    "by_message": True,
                    "unexplained": "",
                    "undecided": False,
                    "tell": "",
                    "language": "en",
                    "explanation": "It has 2 rows, not 3.",
                    "remedy": "Use 3 rows.",
                    "captured": {"found": "2", "expected": "3"},
                    "user_frame": [
                        {"file": "train.py", "line": 7, "function": "main", "source": "f(x)"}
                    ],
                    "torch_frames": 4,
                    "alternatives": [
                        {
                            "note_id": "too-large",
                            "title": "The matrix is too large",
                            "score": 0.2,
                            "tell": "it is large",
                        }
                    ],
                    "site": [],
                    "wordings": [],
                    "proof": {
                        "proven": 2,
                        "refuted": 0,
                        "skipped": 0,
                        "stale": 0,
                        "torch": ["2.13.0"],
                        "when": "2026-11-20",
                    },
                    "left_out": [],
                }
            ],
            "left_out": [],
        }
    )


async def test_a_refuted_claim_is_an_answer_and_no_error(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("verify_snippet", {"code": "raise ValueError"})
    assert not result.is_error
    assert text_of(result).splitlines()[0] == snapshot(
        "REFUTED: the claim was “no exception”, but it raised ValueError: size 2 is smaller"
    )


async def test_long_output_keeps_its_ends_within_the_budget(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("verify_snippet", {"code": "print()", "max_tokens": 800})
    assert tokens(text_of(result)) <= 800
    assert "characters left out" in text_of(result)
    assert result.structured_content is not None
    assert result.structured_content["left_out"] == snapshot(
        ["the middle of stdout: print less, or a larger max_tokens"]
    )


async def test_a_runtime_that_nobody_named_is_refused(knowledge: FakeKnowledge) -> None:
    arguments = {"code": "1", "runtime": "/usr/bin/python3"}
    async with connected(knowledge) as client:
        result = await client.call_tool("verify_snippet", arguments)
    assert result.is_error
    assert text_of(result) == snapshot(
        "runtime /usr/bin/python3: not offered by this server (none is configured)"
    )
    assert knowledge.started == []


async def test_a_caller_cannot_raise_the_limits_above_the_ceiling(
    knowledge: FakeKnowledge,
) -> None:
    async with connected(knowledge) as client:
        asked = await client.call_tool("verify_snippet", {"code": "1", "timeout_s": 30})
        refused = await client.call_tool("verify_snippet", {"code": "1", "timeout_s": 3600})
    assert not asked.is_error
    limits = knowledge.seen[0]["limits"]
    assert (limits.wall_s, limits.cpu_s, limits.memory_mib) == (30, 30, 1024)  # type: ignore[attr-defined]
    assert text_of(refused) == snapshot(
        "verify_snippet: timeout_s: Input should be less than or equal to 60"
    )


async def test_no_sandbox_is_an_error_with_a_remedy(knowledge: FakeKnowledge) -> None:
    knowledge.sandbox = False
    async with connected(knowledge) as client:
        result = await client.call_tool("verify_snippet", {"code": "1"})
    assert result.is_error
    assert text_of(result) == snapshot(
        "snippets cannot be isolated here: user namespaces are off. Turn them on."
    )


async def test_topics_are_counted(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("list_topics", {})
    assert text_of(result) == snapshot("""\
2 notes (1 errors, 1 idioms); examples: 2 proven on torch 2.13.0, 2026-11-20.

- shapes (2) too-large, too-small
- linear (1) too-small\
""")
    assert result.structured_content == snapshot(
        {
            "notes": 2,
            "errors": 1,
            "idioms": 1,
            "pages": 0,
            "proof": {
                "proven": 2,
                "refuted": 0,
                "skipped": 0,
                "stale": 0,
                "torch": ["2.13.0"],
                "when": "2026-11-20",
            },
            "topics": [
                {"tag": "shapes", "notes": 2, "examples": ["too-large", "too-small"]},
                {"tag": "linear", "notes": 1, "examples": ["too-small"]},
            ],
            "left_out": [],
        }
    )


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_notes", {"query": "x", "limt": 3}),
        ("search_notes", {}),
        ("search_notes", {"query": "x", "limit": 99}),
        ("search_notes", {"query": "   "}),
        ("get_note", {"id": "too-small", "language": "fr"}),
        ("explain", {"text": "x"}),
    ],
    ids=str,
)
async def test_bad_arguments_say_what_is_right(
    knowledge: FakeKnowledge, tool: str, arguments: dict[str, object]
) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert (
        text_of(result)
        == {
            "limt": snapshot(
                "search_notes does not take limt: it takes query, kind, tags, language, torch, limit, max_tokens"
            ),
            "{}": snapshot("search_notes: query: Field required"),
            "99": snapshot("search_notes: limit: Input should be less than or equal to 20"),
            "   ": snapshot("the query is empty: ask something"),
            "fr": snapshot("get_note: language: Input should be 'en' or 'zh'"),
            "text": snapshot(
                "no tool 'explain': there are explain_error, get_note, list_topics, search_notes, verify_snippet"
            ),
        }[
            next(
                part for part in ("limt", "99", "   ", "fr", "text", "{}") if part in str(arguments)
            )
        ]
    )


async def test_a_crash_of_ours_says_nothing_of_the_inside(
    knowledge: FakeKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "search", lambda *_, **__: Near.model_validate({"x": 1}))
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", {"query": "small"})
    assert result.is_error
    assert text_of(result) == "Error executing tool search_notes"


async def test_null_counts_as_not_given(knowledge: FakeKnowledge) -> None:
    arguments = {"query": "small", "kind": None, "tags": None, "limit": 1}
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", arguments)
    assert not result.is_error


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_an_abandoned_run_is_killed(knowledge: FakeKnowledge, era: str) -> None:
    async with connected(knowledge, era=era) as client:
        with anyio.move_on_after(0.2) as scope:
            await client.call_tool("verify_snippet", {"code": "wait"})
        assert scope.cancelled_caught
        again = await client.call_tool("verify_snippet", {"code": "1"})
    assert knowledge.killed == ["wait"]
    assert not again.is_error


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_run_reports_progress_and_its_place_in_the_queue(
    knowledge: FakeKnowledge, era: str
) -> None:
    told: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message or "")
        if "1 run(s) ahead" in told[-1] or told[-1].startswith("waiting"):
            knowledge.release.set()

    async with connected(knowledge, era=era) as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "verify_snippet", {"code": "wait 1"})
        await eventually(lambda: knowledge.started)
        await client.call_tool("verify_snippet", {"code": "wait 2"}, progress_callback=hear)
    assert told[0] == "waiting for a free sandbox, 0 run(s) ahead"


async def test_a_full_queue_says_when_to_come_back(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge, queue=0) as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "verify_snippet", {"code": "wait"})
        await eventually(lambda: knowledge.started)
        result = await client.call_tool("verify_snippet", {"code": "1"})
        knowledge.release.set()
    assert result.is_error
    assert text_of(result) == snapshot("busy: 0 runs wait already; ask again in 1 s")


async def test_the_sandbox_warms_after_the_first_answer_and_searches_do_not_wait(
    knowledge: FakeKnowledge,
) -> None:
    async with connected(knowledge) as client:
        result = await client.call_tool("search_notes", {"query": "small"})
        assert not result.is_error
        await eventually(knowledge.warmed.is_set)


async def test_notes_are_resources_in_both_languages(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        english = (await client.read_resource("note://too-small")).contents[0]
        chinese = (await client.read_resource("note://too-small/zh")).contents[0]
    assert isinstance(english, TextResourceContents)
    assert isinstance(chinese, TextResourceContents)
    assert english.mime_type == "text/markdown"
    assert english.text.startswith("# The matrix is too small")
    assert chinese.text.startswith("# 矩阵太小")


async def test_the_catalogue_and_the_ledger_are_json(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        catalogue = (await client.read_resource("kb://catalogue")).contents[0]
        ledger = (await client.read_resource("kb://ledger")).contents[0]
    assert listed == ["kb://catalogue", "kb://ledger"]
    assert isinstance(catalogue, TextResourceContents)
    assert catalogue.text == snapshot(
        '[{"note_id": "too-small", "kind": "error", "title": "The matrix is too small", "title_zh": "矩阵太小", "tags": ["shapes", "linear"], "uri": "note://too-small"}, {"note_id": "too-large", "kind": "idiom", "title": "The matrix is too large", "title_zh": "矩阵太大", "tags": ["shapes"], "uri": "note://too-large"}]'
    )
    assert isinstance(ledger, TextResourceContents)
    assert '"verdict": {"kind": "proven"' in ledger.text


@pytest.mark.parametrize("uri", ["note://small-one", "note://too-small/fr", "kb://nothing"])
async def test_a_resource_that_is_not_there_is_a_not_found_error(
    knowledge: FakeKnowledge, uri: str
) -> None:
    async with connected(knowledge) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.code == -32602


async def test_ids_and_languages_complete(knowledge: FakeKnowledge) -> None:
    ref = ResourceTemplateReference(type="ref/resource", uri="note://{id}/{language}")
    async with connected(knowledge) as client:
        ids = await client.complete(ref=ref, argument={"name": "id", "value": "la"})
        languages = await client.complete(ref=ref, argument={"name": "language", "value": ""})
        nothing = await client.complete(
            ref=PromptReference(type="ref/prompt", name="debug-pytorch-error"),
            argument={"name": "error", "value": "x"},
        )
    assert ids.completion.values == ["too-large"]
    assert languages.completion.values == ["en", "zh"]
    assert nothing.completion.values == []


async def test_prompts_lead_from_the_error_to_a_proof(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        prompts = (await client.list_prompts()).prompts
        debug = await client.get_prompt(
            "debug-pytorch-error", {"error": "size {1}", "code": "f(x)"}
        )
        review = await client.get_prompt("review-pytorch-code", {"code": "loss = {}"})
    assert [prompt.name for prompt in prompts] == ["debug-pytorch-error", "review-pytorch-code"]
    for prompt, tools in (
        (debug, ("explain_error", "get_note", "search_notes", "verify_snippet")),
        (review, ("search_notes", "get_note", "verify_snippet")),
    ):
        content = prompt.messages[0].content
        assert isinstance(content, TextContent)
        assert all(tool in content.text for tool in tools)
    assert isinstance(review.messages[0].content, TextContent)
    assert "loss = {}" in review.messages[0].content.text


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("debug-pytorch-error", {}), ("review-pytorch-code", {"cod": "x"}), ("fix-it", {})],
)
async def test_a_wrong_prompt_says_what_it_takes(
    knowledge: FakeKnowledge, era: str, name: str, arguments: dict[str, str]
) -> None:
    async with connected(knowledge, era=era) as client:
        with pytest.raises(MCPError, match=r"takes|there are") as caught:
            await client.get_prompt(name, arguments)
    assert caught.value.code == -32602


async def test_instructions_fit_what_hosts_keep(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        instructions = client.instructions
    assert instructions is not None
    assert len(instructions) <= 2048
