"""Words that no task takes: a sentence, the command that was probably meant, and exit code 2.

invoke itself says no more than "No idea what ... is", and ends with 1.
"""

from __future__ import annotations

import ast
import difflib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.program import Program

from toolkit.errors import BAD_INPUT, UserError, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.collection import Collection
    from invoke.parser.context import ParserContext

# What invoke is called, and where `python -m invoke` begins.
PROGRAMS = ("invoke", "inv", "__main__.py")
COMPLETION = ("--complete", "--print-completion-script")
ADDRESS = re.compile(r"[0-9a-fA-F:.]*[:.][0-9a-fA-F:.]*(/\d{1,3})?")
DURATION = re.compile(r"\d{1,6}[smhdw]")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.[A-Za-z]{2,}")


def refuse(tasks: Collection, argv: Sequence[str]) -> None:
    """End the program with a sentence where the words that follow `invoke` are none of the tasks'.

    argv: the program, which is looked at: the tasks may be imported by another; and what was typed behind it.
    """
    program = Path(argv[0])
    if program.name not in PROGRAMS or (program.name == "__main__.py" and program.parent.name != "invoke"):
        return
    if set(argv) & set(COMPLETION):
        return
    if mistake := look(argv[1:], tasks.to_contexts()):
        report(mistake)
        raise SystemExit(BAD_INPUT)


def look(typed: Sequence[str], contexts: Sequence[ParserContext]) -> UserError | None:
    """Return what is wrong with the words that follow `invoke`, None where they can be read."""
    initial = Program().initial_context
    try:
        words = Parser(initial=initial, ignore_unknown=True).parse_argv(list(typed)).unparsed
    except ParseError:
        return None  # an option of invoke's own: it has said so before it reads tasks
    try:
        Parser(initial=initial, contexts=list(contexts)).parse_argv(list(words))
    except ParseError as error:
        return _explain(error, words, {context.name: context for context in contexts if context.name})
    return None


def _explain(error: ParseError, words: Sequence[str], tasks: dict[str, ParserContext]) -> UserError:
    said, task = str(error), error.context.name if error.context else None
    usage = f"invoke --help {task}" if task else "invoke --list"
    if match := re.fullmatch(r"No idea what (.*) is!", said):
        token = str(ast.literal_eval(match[1]))
        if task is None:
            return _no_task(token, words, tasks)
        if token.startswith("-"):
            return _no_option(token, words, tasks[task])
        if flag := next((word.partition("=")[0] for word in words if word.endswith(f"={token}")), ""):
            return UserError(f"{flag} takes no value", fix=f"All that {task} takes: {usage}")
        return _stray(token, words, tasks[task])
    if task and (match := re.search(r"did not receive required positional arguments: (.*)", said)):
        wanted = [name.strip("'") for name in match[1].split(", ")]
        return UserError(
            f"{task} wants a word more: its {' and its '.join(wanted)}",
            fix=f"invoke {task} {' '.join(name.upper() for name in wanted)}\nAll that it takes: {usage}",
        )
    if match := re.search(r"Flag <Argument: ([\w-]+).*needed value", said):
        return UserError(f"{_dashed(match[1])} wants a value behind it", fix=f"All that {task} takes: {usage}")
    return UserError(said.rstrip("!."), fix=f"All there is to type: {usage}")


def _no_task(token: str, words: Sequence[str], tasks: dict[str, ParserContext]) -> UserError:
    place = list(words).index(token) if token in words else 0
    behind = list(words[place + 1 :])
    if token.startswith("-"):
        return UserError(f"{token} comes before any task", fix="A task comes first: invoke deploy --host myvps")
    inside = sorted(name for name in tasks if name.startswith(f"{token}."))
    if inside:
        joined = f"{token}.{behind[0]}" if behind else ""
        likely = [joined] if joined in tasks else inside
        rest = behind[1:] if joined in tasks else []
        fix = "\n".join(shlex.join(["invoke", name, *rest]) for name in likely)
        return UserError(f"{token} alone is not a task; with a dot there are tasks in it", fix=fix)
    near = difflib.get_close_matches(token, tasks, 1, 0.6)
    meant = f"Did you mean this?\n{shlex.join(['invoke', near[0], *behind])}\n" if near else ""
    return UserError(f"there is no task {token!r}", fix=f"{meant}All tasks: invoke --list")


def _no_option(token: str, words: Sequence[str], task: ParserContext) -> UserError:
    name, equals, value = token.partition("=")
    near = difflib.get_close_matches(name, task.flags, 1, 0.6)
    fix = f"All that it takes: invoke --help {task.name}"
    if near:
        meant = [f"{near[0]}{equals}{value}" if word == token else word for word in words]
        fix = f"Did you mean this?\n{shlex.join(['invoke', *meant])}\n{fix}"
    return UserError(f"{task.name} has no option {name}", fix=fix)


def _stray(token: str, words: Sequence[str], task: ParserContext) -> UserError:
    """Return the error for a word that belongs to nothing, with the option that it was probably meant for."""
    option = next((f"--{name}" for name in _options(token) if f"--{name}" in task.flags), None)
    fix = f"All that it takes: invoke --help {task.name}"
    if option:
        meant = [part for word in words for part in ([option, word] if word == token else [word])]
        fix = f"Did you mean this?\n{shlex.join(['invoke', *meant])}\n{fix}"
    return UserError(f"{task.name} knows nothing to do with the word {token!r}", fix=fix)


def _options(word: str) -> list[str]:
    """Return the options that a word is likely to belong to, the likeliest first."""
    if ADDRESS.fullmatch(word):
        return ["ip", "host", "relay"]
    if DURATION.fullmatch(word):
        return ["for", "host"]
    if "|" in word:
        return ["relay", "host"]
    return ["dns", "host", "name"] if NAME.fullmatch(word) else ["host", "dir", "name"]


def _dashed(name: str) -> str:
    return name if name.startswith("-") else f"--{name.replace('_', '-')}"
