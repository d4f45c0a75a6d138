"""Prompts that lead an assistant through search, explain and verify."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server import MCPServer
from pydantic import Field

__all__ = ["add_prompts"]

DEBUG = """\
Find the cause of this PyTorch error and a fix that is proven to work.

1. Call explain_error with the text below, whole and unedited{and_code}.
2. If a note explains it, read it with get_note. If none does, say so, then search_notes with the \
message's key words; treat what you find as leads, not as the cause.
3. Reproduce the error in a program of a few lines with verify_snippet and \
expect="raises Type: message". If the claim is refuted, your reading of the cause is wrong: go back.
4. Apply the fix to that program and run it with verify_snippet and expect="no exception", with an \
assert on what the code is for.
5. Tell me the cause in one sentence, the change to my code, the ids of the notes you used, and \
what was proven on which version of torch. Name what you could not run.

The error:

{error}
"""
REVIEW = """\
Review this PyTorch code for mistakes that PyTorch itself does not report, and for errors to come.

1. List what the code does that notes may speak of: layers and losses, modes (train, eval, \
no_grad), shapes and dtypes, devices, loading and saving, data loading, the optimiser. \
list_topics shows what is covered.
2. Call search_notes for each, and read with get_note what applies to a line of this code.
3. For every problem you mean to report, write the smallest program that shows it and run it with \
verify_snippet, stating the claim in `expect`. Drop what is refuted.
4. Report only what is proven, most serious first: the line, what goes wrong, the fix, proven the \
same way, and the note's id. List apart what you suspect but could not run.

The code:

```python
{code}
```
"""


def add_prompts(server: MCPServer[Any]) -> None:
    """Offer the two ways to work with the tools."""

    @server.prompt(name="debug-pytorch-error", title="Debug a PyTorch error")
    def debug_pytorch_error(
        error: Annotated[str, Field(description="The traceback or message, whole.")],
        code: Annotated[str, Field(description="The code that raised it, if at hand.")] = "",
    ) -> str:
        """From an error to a cause and a proven fix: explain, read, reproduce, fix, verify."""
        text = DEBUG.format(error=error, and_code=" and with the code" if code else "")
        return text + (f"\nThe code:\n\n```python\n{code}\n```\n" if code else "")

    @server.prompt(name="review-pytorch-code", title="Review PyTorch code")
    def review_pytorch_code(
        code: Annotated[str, Field(description="The code to review.")],
    ) -> str:
        """From code to proven findings: search, read, show each problem by running it."""
        return REVIEW.format(code=code)
