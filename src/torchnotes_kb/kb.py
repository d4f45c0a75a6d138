"""`KnowledgeBase`: the one object that the command line, the server and Python code use.

Opening it is cheap: the index, the encoder and the sandbox are opened when first needed. All of
its methods block and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, RLock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from torchnotes_kb.config import Limits, Settings
from torchnotes_kb.errors import ConfigError, RuntimeInvalidError
from torchnotes_kb.library import Library, OwnPages
from torchnotes_kb.resources import corpus_dir, home_dir, index_dir, ledger_file
from torchnotes_kb.values import encodable

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Encoder
    from torchnotes_kb.explain.diagnose import Explainer
    from torchnotes_kb.explain.model import Diagnosis
    from torchnotes_kb.explain.raise_sites import RaiseSites
    from torchnotes_kb.index.build import BuildReport
    from torchnotes_kb.index.embed import Progress
    from torchnotes_kb.notes.model import Language, Note, NoteKind
    from torchnotes_kb.notes.proof import Proof
    from torchnotes_kb.sandbox.pool import Sandbox
    from torchnotes_kb.sandbox.runtime import Runtime
    from torchnotes_kb.sandbox.selftest import Finding
    from torchnotes_kb.search.model import Hit, SearchResult
    from torchnotes_kb.search.searcher import Searcher
    from torchnotes_kb.verify.ledger import Ledger
    from torchnotes_kb.verify.model import Result

__all__ = ["KnowledgeBase"]


class KnowledgeBase:
    """Search, explain and verify over the bundled corpus and the user's own pages.

    Example:
        >>> with KnowledgeBase.open() as kb:
        ...     kb.search("broken pipe").hits[0].note_id
        'broken-pipe-num-workers'
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        own = OwnPages(home_dir(settings))
        self._own = own if settings.corpus is None and settings.index is None else None
        self._library = Library(corpus_dir(settings), self._own)
        self._sandboxes: dict[str, Sandbox] = {}
        self._lock = RLock()
        self._sites: RaiseSites | None = None
        self._sites_lock = Lock()

    @classmethod
    def open(cls, settings: Settings | None = None) -> Self:
        """A knowledge base with these settings; None: those of this process."""
        return cls(settings if settings is not None else Settings.from_env())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started and close the index."""
        with self._lock:
            for sandbox in self._sandboxes.values():
                sandbox.close()
            self._sandboxes.clear()
            searcher = self.__dict__.pop("_searcher", None)
            if searcher is not None:
                searcher.close()

    def search(
        self,
        query: str,
        *,
        kind: NoteKind | None = None,
        tags: Sequence[str] = (),
        language: Language | None = None,
        torch: str | None = None,
        limit: int = 5,
    ) -> SearchResult:
        """The notes that answer a question or explain a message; see `Searcher.search`."""
        result = self.searcher.search(
            encodable(query), kind=kind, tags=tags, language=language, torch=torch, limit=limit
        )
        hits = tuple(self._with_proof(hit) for hit in result.hits)
        return result.model_copy(update={"hits": hits})

    def explain(
        self,
        text: str,
        *,
        code: str | None = None,
        language: Language | None = None,
        proof: bool = False,
        progress: Progress | None = None,
    ) -> Diagnosis:
        """What a traceback or a message means.

        A message that no note's template matches is looked up among the raise sites of the
        runtime's torch too; the first such look-up reads torch's sources, which takes seconds.

        Args:
            text: A traceback, a log around one, or a message alone.
            code: The program that failed.
            language: Of the answer; None: the text's own.
            proof: Run the note's failing examples in this runtime too.
            progress: Told how many of torch's files have been read.

        Raises:
            QueryError: the text is empty.
        """
        code = code and encodable(code)
        diagnosis = self._explainer.explain(encodable(text), code=code, language=language)
        in_torch = diagnosis.torch_frames > 0 or diagnosis.user_frame is None
        if diagnosis.signature is None and in_torch:
            sites = self._raise_sites(progress)
            found = sites.find(diagnosis.message) if sites is not None else None
            diagnosis = diagnosis.model_copy(update={"site": found})
        if diagnosis.note is None:
            return diagnosis
        note = self.note(diagnosis.note)
        if proof:
            diagnosis = self._reproduced(diagnosis, note)
        failing = {example.sha256 for example in note.examples if example.role == "fails"}
        known = tuple(p for p in self.proofs(note.id) if p.example in failing)
        return diagnosis.model_copy(update={"proof": known})

    def _reproduced(self, diagnosis: Diagnosis, note: Note) -> Diagnosis:
        """The diagnosis with what the note's failing examples say in this runtime now."""
        from torchnotes_kb.explain.reproduce import reproduce  # noqa: PLC0415 - start-up time

        results = list(self.verify_notes([note]))
        match = self.searcher.matcher.match
        found = reproduce(note, diagnosis.signature, results, match)
        return diagnosis.model_copy(update={"reproduction": found})

    def note(self, note_id: str) -> Note:
        """One note.

        Raises:
            NoteNotFoundError: there is none of this id.
        """
        return self._library.note(note_id)

    def notes(self) -> tuple[Note, ...]:
        """All notes, the corpus first."""
        return self._library.notes

    def note_ids(self) -> tuple[str, ...]:
        """The ids of all notes."""
        return tuple(note.id for note in self.notes())

    def proofs(self, note_id: str) -> tuple[Proof, ...]:
        """The last proofs of a note's examples, those of this machine too."""
        return self._ledger.of(self.note(note_id))

    def verify_snippet(
        self,
        code: str,
        *,
        expect: str | None = None,
        runtime: str | None = None,
        limits: Limits | None = None,
        cancelled: Event | None = None,
        file: str | None = None,
    ) -> Result:
        """Run code in the sandbox and judge the claim about it.

        Args:
            code: A program.
            expect: `raises Type: text`, `warns Category: text`, `prints text` or `no exception`;
                None: it must run to its end.
            runtime: Another interpreter than the settings': a path, or a name of `runtimes`.
            limits: Tighter ones than the settings'; looser ones only up to the ceiling.
            cancelled: Set it to kill the run.
            file: What to call the code in the result.

        Raises:
            ClaimError: `expect` is in no known form.
            RuntimeInvalidError, SandboxUnavailableError, SandboxError: nothing was run.
        """
        from torchnotes_kb.verify.judge import parse_expect  # noqa: PLC0415 - start-up time
        from torchnotes_kb.verify.verifier import Verifier  # noqa: PLC0415 - likewise

        expectation = parse_expect(expect) if expect is not None else None
        return Verifier(self._sandbox(runtime)).verify_snippet(
            code, expectation=expectation, file=file, limits=limits, cancelled=cancelled
        )

    def verify_notes(self, notes: Sequence[Note], *, save: bool = False) -> Iterator[Result]:
        """Run the examples of these notes, several at a time, and record their proofs.

        Args:
            notes: Which.
            save: Write the proofs to the ledger that ships with the corpus (forgetting those of
                examples that are gone), not only keep them in memory.
        """
        from torchnotes_kb.verify.verifier import Verifier, proof_of  # noqa: PLC0415 - start-up time

        sandbox = self._sandbox(None)
        verifier = Verifier(sandbox, workers=self.settings.workers)
        for note, example, result in verifier.verify_notes(notes):
            self._ledger.record([proof_of(note, example, result, runtime=sandbox.runtime)])
            yield result
        if save:
            self._ledger.keep(self.notes())
            self._ledger.save(ledger_file(self.settings))

    def runtime(self) -> Runtime:
        """The interpreter that snippets run in.

        Raises:
            RuntimeInvalidError: it cannot run any.
        """
        return self._sandbox(None).runtime

    def sandbox_findings(self) -> tuple[Finding, ...]:
        """Attack every wall and limit of the sandbox now, and say which held."""
        return self._sandbox(None).findings()

    def sandbox_restarts(self) -> int:
        """How many workers had to be started in place of one that ended."""
        return sum(sandbox.restarts for sandbox in list(self._sandboxes.values()))

    def warm(self) -> None:
        """Start the sandbox's worker in the background, so that the first run need not wait."""
        self._sandbox(None)

    def add_pages(self, paths: Sequence[Path], *, progress: Progress | None = None) -> BuildReport:
        """Add the user's own Markdown to what is searched.

        Raises:
            NoteError: a file cannot be read, is not UTF-8, or repeats an id.
            ConfigError: another corpus or index than the bundled one is in force.
        """
        own = self._own_pages()
        added = [path.expanduser().absolute() for path in paths]
        own.read(added)
        return self._index_pages({*own.sources, *added}, progress)

    def forget_pages(
        self, paths: Sequence[Path], *, progress: Progress | None = None
    ) -> BuildReport:
        """Take the user's own Markdown out of what is searched."""
        own = self._own_pages()
        gone = {path.expanduser().absolute() for path in paths}
        unknown = gone - set(own.sources)
        if unknown:
            listed = ", ".join(map(str, own.sources)) or "nothing"
            raise ConfigError(str(min(unknown)), f"was never added; added are: {listed}")
        return self._index_pages(set(own.sources) - gone, progress)

    def rebuild(self, *, progress: Progress | None = None) -> list[BuildReport]:
        """Bring the index of the user's pages, then that of the corpus, up to date."""
        reports = []
        if self._own is not None and self._own.sources:
            reports.append(self._index_pages(set(self._own.sources), progress))
        root, index = corpus_dir(self.settings), index_dir(self.settings)
        return [self._build(index, self._library.bundled, root, progress), *reports]

    @property
    def searcher(self) -> Searcher:
        """What searches; for evaluations."""
        with self._lock:
            return self._searcher

    @cached_property
    def _searcher(self) -> Searcher:
        from torchnotes_kb.encoders.registry import (  # noqa: PLC0415 - start-up time
            identify_encoder,
            open_encoder,
        )
        from torchnotes_kb.index.index import Index  # noqa: PLC0415 - likewise
        from torchnotes_kb.search.searcher import Searcher  # noqa: PLC0415 - likewise

        spec = self.settings.encoder
        identity = identify_encoder(spec)
        loaded: list[Encoder] = []
        if identity is None:
            loaded.append(open_encoder(spec))
            identity = loaded[0].identity
        paths = [index_dir(self.settings)]
        if self._own is not None and (self._own.index / "manifest.json").is_file():
            paths.append(self._own.index)
        indexes = [Index.open(path, encoder=identity) for path in paths]
        return Searcher(indexes, lambda: loaded[0] if loaded else open_encoder(spec))

    @cached_property
    def _explainer(self) -> Explainer:
        from torchnotes_kb.explain.diagnose import Explainer  # noqa: PLC0415 - start-up time

        searcher = self.searcher
        return Explainer(
            match=searcher.matcher.match,
            search=lambda text: searcher.search(text, limit=4),
            note=self.note,
        )

    def _raise_sites(self, progress: Progress | None) -> RaiseSites | None:
        """The raise sites of the runtime's torch; None where that torch cannot be read."""
        with self._sites_lock:
            if self._sites is None:
                self._sites = self._open_raise_sites(progress)
            return self._sites

    def _open_raise_sites(self, progress: Progress | None) -> RaiseSites | None:
        import platformdirs  # noqa: PLC0415 - only for messages that no note explains

        from torchnotes_kb.explain.raise_sites import RaiseSites  # noqa: PLC0415 - likewise

        try:
            runtime = self._probe(None)
        except RuntimeInvalidError:
            return None
        if runtime.torch_dir is None:
            return None
        cache = platformdirs.user_cache_path("torchnotes-kb")
        return RaiseSites.open(runtime.torch_dir, runtime.torch, cache=cache, progress=progress)

    @cached_property
    def _ledger(self) -> Ledger:
        from torchnotes_kb.verify.ledger import Ledger  # noqa: PLC0415 - start-up time

        return Ledger.load(ledger_file(self.settings))

    def _with_proof(self, hit: Hit) -> Hit:
        proofs = self._ledger.of_examples(hit.note_id, hit.examples)
        return hit.model_copy(update={"proof": proofs})

    def _probe(self, runtime: str | None) -> Runtime:
        from torchnotes_kb.sandbox.runtime import Runtime  # noqa: PLC0415 - start-up time

        name = runtime or self.settings.runtime
        if not name:
            return Runtime.probe()
        path = self.settings.runtimes.get(name)
        return Runtime.probe(path or Path(name), name=name)

    def _sandbox(self, runtime: str | None) -> Sandbox:
        from torchnotes_kb.sandbox.pool import Sandbox  # noqa: PLC0415 - start-up time

        name = runtime or self.settings.runtime
        with self._lock:
            if name not in self._sandboxes:
                self._sandboxes[name] = Sandbox.open(
                    self._probe(name),
                    limits=self.settings.limits,
                    ceiling=self.settings.ceiling,
                    isolation=self.settings.isolation,
                    workers=self.settings.workers,
                    prove=self.settings.prove_sandbox,
                )
            return self._sandboxes[name]

    def _own_pages(self) -> OwnPages:
        if self._own is None:
            raise ConfigError(
                "--corpus, --index", "pages of your own go beside the bundled corpus only"
            )
        return self._own

    def _index_pages(self, sources: set[Path], progress: Progress | None) -> BuildReport:
        own = self._own_pages()
        there = sorted(path for path in sources if path.exists())
        report = self._build(own.index, own.read(there), None, progress)
        own.save_sources(there)
        return report

    def _build(
        self, path: Path, notes: Sequence[Note], root: Path | None, progress: Progress | None
    ) -> BuildReport:
        from torchnotes_kb.encoders.registry import open_encoder  # noqa: PLC0415 - start-up time
        from torchnotes_kb.index.index import Index  # noqa: PLC0415 - likewise
        from torchnotes_kb.index.questions import outside  # noqa: PLC0415 - likewise
        from torchnotes_kb.notes.chunking import chunk_note  # noqa: PLC0415 - likewise

        chunks = [chunk for note in notes for chunk in chunk_note(note, root=root)]
        encoder = open_encoder(self.settings.encoder)
        beside = (
            root is not None or self._own is None
        )  # pages stand beside the corpus, which has them
        others = outside() if beside else ()
        return Index.build(path, chunks, notes, encoder, outside=others, progress=progress)
