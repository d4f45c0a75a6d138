"""A note as Markdown for reading."""

from pathlib import Path

from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.parser import parse_note
from torchnotes_kb.notes.render import render_markdown


def test_prose_programs_and_commands_are_read_in_the_order_of_the_file(good_note: str) -> None:
    text = good_note + (
        "\n## Also\nGet it.\n\n安装。\n\n```console\npip install torch\n```\n\nTry it.\n\n试试。"
        "\n\n```python works\nassert 2 > 1\n```\n\nDone.\n\n完成。\n"
    )
    note, findings = parse_note(text, path=Path("too-small.md"))
    assert not findings
    assert note is not None
    shown = render_markdown(note, language=Language.EN)
    also = shown[shown.index("## Also") : shown.index("\nSources:")]
    assert also == (
        "## Also\n\nGet it.\n\n```console\npip install torch\n```\n\nTry it.\n\n"
        "```python\nassert 2 > 1\n```\n\n*not run yet*\n\nDone.\n"
    )
