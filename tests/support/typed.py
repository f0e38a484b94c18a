"""An invoke task as it is typed, inside the test's own process: seconds faster than a Python of its own for each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from invoke.program import Program

from tasks import ns
from toolkit import console
from toolkit.words import refuse


@dataclass(frozen=True)
class Done:
    """How a task ended: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


class Typing:
    """Types tasks. A terminal is 100 columns wide and has no colours, unless the environment says otherwise."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str, **environment: str) -> Done:
        """Type `invoke WORDS`."""
        with self._monkeypatch.context() as patch:
            for name, value in {"COLUMNS": "100", "TERM": "dumb", **environment}.items():
                patch.setenv(name, value)
            console.console.cache_clear()  # it looks at the terminal once
            self._capsys.readouterr()
            code = self._run(words)
        console.console.cache_clear()
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)

    @staticmethod
    def _run(words: tuple[str, ...]) -> int:
        try:
            refuse(ns, ["invoke", *words])
            Program(namespace=ns, name="invoke").run(["invoke", *words], exit=False)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        return 0


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typing:
    """Return what types a task and tells how it ended."""
    return Typing(capsys, monkeypatch)
