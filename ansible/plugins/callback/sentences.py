"""Callback `sentences`: what a person wants to read while a playbook runs, and nothing else."""

from __future__ import annotations

import re
import sys
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ansible import constants as C  # noqa: N812  # the name that Ansible's own plugins use
from ansible.plugins.callback import CallbackBase

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENTATION = r"""
name: sentences
type: stdout
short_description: A line for each change, a sentence for each failure
description:
  - Prints the name of each role as it begins, a line for each task that changed something, the diff below it where
    one was asked for, and a count for each host at the end.
  - On a terminal the task that is under way is shown in a line that the next one overwrites.
  - A failure is its message, on standard error, after everything else; never a result in JSON. -v shows more.
"""

# Their whole result is a message for people.
SPEAKERS = ("ansible.builtin.fail", "ansible.builtin.assert", "fail", "assert")
DEBUG = ("ansible.builtin.debug", "debug")
WRONG = re.compile(
    r"\berror\b|[A-Za-z]Error:|\b(?:fatal|failed|failure|cannot|denied|refused|unable to|no such)\b", re.IGNORECASE
)
STAGED = re.compile(r"/\S*/ansible-tmp-[^/\s]*/\.?source(?:\.\w+)?(?::netplay\S*)?")
ERASE = "\x1b[K"
# Signs that have no width or are empty, although they are letters and marks by their category.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
BLANKS = "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# Characters of a line of what failed there, and of its reason: a host may say anything.
LONGEST, LONGEST_REASON = 2000, 20_000
MINUTE = 60.0


def failure(host: str, task: str, action: str, result: Mapping[str, Any], args: Mapping[str, Any] | None = None) -> str:
    """Return what went wrong as text for people: the message of a refusal, or what failed on which host and why.

    args are the task's own.
    """
    # A loop's own message is only that one of its items failed.
    failed = [item for item in result.get("results", []) if item.get("failed")]
    result = failed[0] if failed else result
    if action in SPEAKERS:
        return reason(result)
    said = [str(result.get(stream, "")).strip() for stream in ("stderr", "stdout", "module_stderr", "module_stdout")]
    said = [text for text in said if text and text not in reason(result)]
    lines = [line[:LONGEST] for line in telling(said)]
    name = result.get("invocation", {}).get("module_args", {}).get("_original_basename") or _file_name(args or {})
    text = "\n".join([f"{host}: could not {task[:1].lower()}{task[1:]}: {reason(result)}", *lines])
    # What a program said of the file it was to check, by the name that the file has for its owner.
    return STAGED.sub(str(name).removesuffix(".j2"), text) if name else text


def telling(streams: list[str], most: int = 12) -> list[str]:
    """Return what tells most of what programs said, each stream as a text: all of it, or at most that many lines.

    Errors come first, whichever stream they are in: a build says thousands of lines beside its reason. Then comes the
    end of each stream, the first one's before the others'.
    """
    texts = [[line for line in text.splitlines() if line.strip()] for text in streams]
    if sum(map(len, texts)) <= most:
        return [line for text in texts for line in text]
    found = [line for text in texts for line in text if WRONG.search(line)][-most // 2 :]
    for text in texts:
        found += [line for line in text[-(most - len(found)) :] if line not in found] if len(found) < most else []
    return found


def _file_name(args: Mapping[str, Any]) -> str:
    """Return the name of the file that a task installs. The newest ansible-core's results leave the invocation out."""
    return PurePath(str(args.get("src") or args.get("dest") or "")).name


def shown(text: str) -> str:
    """Return a text of a host that is safe on a terminal: "?" for whatever is not a sign to print; line ends stay."""
    return UNSEEN.sub("?", "".join(_sign(sign) for sign in text.replace("\r\n", "\n")))


def _sign(sign: str) -> str:
    if sign.isprintable() or sign == "\n":
        return sign
    return " " if sign in BLANKS else "?"


def reason(result: Mapping[str, Any]) -> str:
    """Return the message of a result, without what Ansible puts in front of it."""
    return str(result.get("msg", ""))[:LONGEST_REASON].strip().removeprefix("Task failed: ") or "no reason was given"


def changed_items(result: Mapping[str, Any]) -> list[str]:
    """Return the labels of a loop's items that changed."""
    items = [item for item in result.get("results", []) if item.get("changed")]
    return [str(item.get("_ansible_item_label", item.get("item", ""))) for item in items]


def _name(task: Any) -> str:
    """Return the task's own name, without its role: that stands above."""
    return str(task.name or task.get_name()).strip()


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """What Ansible looks for."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "netplay.relay.sentences"

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, str] = {}
        self._diffs: dict[tuple[str, str], str] = {}
        self._polled: dict[tuple[str, str], tuple[float, float]] = {}
        self._role = ""
        self._check = False
        self._transient = sys.stdout.isatty() and not self._display.verbosity

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play."""
        self._check = bool(play.check_mode)
        self._say(play.get_name().strip() + (" (a look ahead: nothing is changed)" if self._check else ""), C.COLOR_OK)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say that there was nothing to do it on."""
        self._say("there is no such host in the inventory", C.COLOR_ERROR, stderr=True)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Name the role when it is another one, and show what is under way."""
        role = task._role.get_name(include_role_fqcn=False) if task._role else self._role  # noqa: SLF001  # there is no public name for it
        if role != self._role:
            self._role = role
            self._say(f" {role}")
        self._show(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Show what is under way."""
        self._show(task)

    def v2_on_file_diff(self, result: Any) -> None:
        """Keep the diff until the task's own line is printed. A loop comes here once for each of its items."""
        if result.result.get("changed") and result.result.get("diff"):
            place = (result.host.get_name(), result.task._uuid)  # noqa: SLF001  # see above
            self._diffs[place] = self._diffs.get(place, "") + self._diff(result.result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print a change, a message, or (-v) what needed no change."""
        # Looking ahead, modules warn of what is missing only because nothing was made.
        if not self._check or self._display.verbosity:
            self._warn(result.result)
        host, task = result.host.get_name(), result.task
        if task.action in DEBUG:
            message = result.result.get("msg", "")
            for line in message if isinstance(message, list) else str(message).splitlines():
                self._say(f"note: {line}", C.COLOR_WARN)
        elif result.result.get("changed"):
            items = changed_items(result.result)
            word = "would change" if self._check else "changed"
            name = _name(task)
            self._say(f"  {host}  {word}  {name}{': ' if items else ''}{', '.join(items)}", C.COLOR_CHANGED)
            if diff := self._diffs.pop((host, task._uuid), ""):  # noqa: SLF001  # see above
                self._say(diff.rstrip("\n"))
        elif self._display.verbosity:
            self._say(f"  {host}  ok  {_name(task)}", C.COLOR_OK)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember the failure: a rescue may mend it, or say it better."""
        if not ignore_errors:
            task, host = result.task, result.host.get_name()
            name = _name(task)
            self._failures[host] = failure(host, name, task.action, result.result, task.args)
        if self._display.verbosity:
            self._say(f"  {result.host.get_name()}  failed  {self._dump_results(result.result)}", C.COLOR_ERROR)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Show for how long something that takes minutes has been under way; once a minute where no line is erased."""
        key, now = (result.host.get_name(), result.task._uuid), time.monotonic()  # noqa: SLF001  # see above
        begun, told = self._polled.get(key, (now, now))
        minutes = self._transient or now - told >= MINUTE
        self._polled[key] = (begun, now if minutes else told)
        if self._transient:
            self._show(result.task, f" ({now - begun:.0f} s)")
        elif minutes:
            self._say(f"  {key[0]}  ...  {_name(result.task)}: {(now - begun) / MINUTE:.0f} min")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Remember why the host cannot be reached."""
        host = result.host.get_name()
        self._failures[host] = f"{host} cannot be reached: {reason(result.result)}"

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print what is left of the failures, and the counts."""
        counts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        for host, count in counts.items():
            self._say(f"{host}: {self._count(count)}", C.COLOR_CHANGED if count["changed"] else C.COLOR_OK)
        for host, count in counts.items():
            if count["failures"] or count["unreachable"]:
                self._say(self._failures.get(host, f"{host}: no reason was given"), C.COLOR_ERROR, stderr=True)

    def _count(self, count: Mapping[str, int]) -> str:
        word = "would change" if self._check else "changed"
        parts = [f"{count['changed']} {word}", f"{count['ok'] - count['changed']} ok"]
        parts += [f"{count[kind]} {word}" for kind, word in (("failures", "failed"),) if count[kind]]
        return ", ".join(parts + (["unreachable"] if count["unreachable"] else []))

    def _diff(self, part: dict[str, Any]) -> str:
        changes = part["diff"] if isinstance(part["diff"], list) else [part["diff"]]
        return "".join(self._one_diff(change, part.get("dest") or part.get("path")) for change in changes)

    def _one_diff(self, change: dict[str, Any], path: str | None) -> str:
        """Return attributes as a line, and text with a header that says where it goes, not where it is made."""
        before, after = change.get("before"), change.get("after")
        if isinstance(before, dict) and isinstance(after, dict):
            pairs = [f"{key} {before.get(key)} -> {after[key]}" for key in after if before.get(key) != after[key]]
            return f"    {after.get('path', '')}: {', '.join(pairs)}\n"
        made = PurePath(str(change.get("after_header", ""))).name.removesuffix(".j2")
        header = path or change.get("before_header") or made
        return str(self._get_diff({**change, "before_header": header, "after_header": header}))

    def _warn(self, result: dict[str, Any]) -> None:
        """Print the warnings of a result, which a module on the host has made, as ours."""
        for warning in result.pop("warnings", None) or ():
            self._say(f"warning: {warning if isinstance(warning, str) else getattr(warning, 'msg', warning)}")
        self._handle_warnings(result)

    def _show(self, task: Any, behind: str = "") -> None:
        if self._transient:
            self._display.display(f"  ... {_name(task)[:70]}{behind}{ERASE}\r", newline=False)

    def _say(self, text: str, color: str | None = None, *, stderr: bool = False) -> None:
        if self._transient:
            self._display.display(ERASE, newline=False)
        self._display.display(shown(text), color=color, stderr=stderr)
