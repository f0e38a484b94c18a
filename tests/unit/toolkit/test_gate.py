"""What the owner's side makes of the gate's answers: pushes, mistakes, what was taken back, who is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toolkit.errors import BAD_INPUT, DEPLOY_FAILED, HOST_UNUSABLE, ROLLED_BACK, UserError
from toolkit.friends import commands
from toolkit.hosts import gate, last, target
from toolkit.hosts.names import HostName
from toolkit.hosts.remote import PROGRAM, Remote
from toolkit.hosts.target import DeployTarget
from toolkit.ssh.connection import Connection

if TYPE_CHECKING:
    from tests.unit.toolkit.conftest import FakeSsh

FILE = Path("/home/me/friends.toml")
APPLIED: dict[str, Any] = {
    "changed": True, "checked": False, "backend": "nftables", "ports": [55435], "rules": False,
    "added": ["203.0.113.7/32"], "removed": [], "refreshed": [], "files": True, "entries": 1, "next_expiry": None,
    "opened": [], "others": ["ufw is active and lets the port through."], "warnings": [], "token": None,
    "rollback_at": None, "rollback_by": None,
}  # fmt: skip


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Return a host that the fake ssh stands for."""
    return Remote(DeployTarget(HostName("myvps", "myvps")), Connection("myvps", sockets=tmp_path), become=False)


def answers(fake_ssh: FakeSsh, by_command: dict[str, Any]) -> None:
    """Let each command of the gate have an answer of its own: (exit code, JSON), or a list of them, one each time."""
    script = fake_ssh.folder / "ssh.py"
    table = {word: found if isinstance(found, list) else [found] for word, found in by_command.items()}
    script.write_text(
        script.read_text().replace(
            'sys.stdout.write(answer["stdout"])',
            f"table = {table!r}\n"
            "word = next((word for word in table if f' {word} ' in sys.argv[-1] + ' '), '')\n"
            "if word:\n"
            "    times = sum(f' {word} ' in line for line in (folder / 'calls').read_text().splitlines())\n"
            "    code, text = table[word][min(times, len(table[word])) - 1]\n"
            "    print(json.dumps(text))\n    sys.exit(code)\n"
            'sys.stdout.write(answer["stdout"])',
        )
    )


def test_a_push_goes_in_by_standard_input_and_is_confirmed_by_a_login_of_its_own(
    fake_ssh: FakeSsh, remote: Remote
) -> None:
    answers(fake_ssh, {"apply": (0, {**APPLIED, "token": "abc"}), "confirm": (0, {"confirmed": True})})
    assert gate.push(remote, "the list", FILE)["added"] == ["203.0.113.7/32"]
    (first, text), (second, _) = fake_ssh.calls
    assert text == "the list"
    assert f"--shown-as {FILE}" in first[-1]
    assert f"--rollback-after {gate.WAY_BACK}" in first[-1]
    assert second[-1].endswith("gate confirm abc --json")
    assert "ControlPath=none" in second
    assert "ControlPath=none" not in first


def test_an_answer_is_found_behind_what_a_login_prints(fake_ssh: FakeSsh, remote: Remote) -> None:
    fake_ssh.answers(f"{{welcome}}\nLast seen: {json.dumps(APPLIED)}\n")
    assert gate.look(remote, "", FILE) == APPLIED
    fake_ssh.answers(f"Welcome\n{json.dumps(APPLIED, indent=2)}\n")
    assert remote.ask(["status", "--json"]) == APPLIED


def test_what_a_login_prints_is_no_answer(fake_ssh: FakeSsh, remote: Remote) -> None:
    fake_ssh.answers("Welcome {}!\n", "it broke\n", 1)
    for asked in (lambda: gate.look(remote, "", FILE), lambda: remote.ask(["status", "--json"])):
        with pytest.raises(UserError, match="on myvps: it broke") as caught:
            asked()
        assert caught.value.fix == "Look at it by hand: ssh myvps"


def test_a_push_that_changes_nothing_needs_no_confirmation(fake_ssh: FakeSsh, remote: Remote) -> None:
    answers(fake_ssh, {"apply": (0, {**APPLIED, "changed": False})})
    gate.push(remote, "", FILE)
    assert len(fake_ssh.calls) == 1


@pytest.mark.parametrize("back", [(0, {"rolled_back": True}), (0, {"rolled_back": False})])
def test_a_push_that_was_not_confirmed_has_its_own_exit_code(
    fake_ssh: FakeSsh, remote: Remote, back: tuple[int, Any]
) -> None:
    known = {"rolled_back": {"token": "abc", "at": 1, "why": "it was not confirmed in time"}}
    answers(
        fake_ssh,
        {
            "apply": (0, {**APPLIED, "token": "abc"}),
            "confirm": (4, {"confirmed": False}),
            "rollback": back,
            "status": (0, known),
        },
    )
    with pytest.raises(UserError, match="the list before it is in force again") as caught:
        gate.push(remote, "", FILE)
    assert caught.value.exit_code == ROLLED_BACK == 7


def test_who_pushed_at_the_same_moment_is_named_and_nobody_is_told_let_in(fake_ssh: FakeSsh, remote: Remote) -> None:
    replaced = {"at": 1, "token": "abc", "by": "198.51.100.2"}
    answers(
        fake_ssh,
        {
            "apply": (0, {**APPLIED, "token": "abc"}),
            "confirm": (4, {"confirmed": False, "rolled_back": None, "replaced": replaced}),
        },
    )
    with pytest.raises(UserError, match=r"another owner \(198\.51\.100\.2\) changed who gets in") as caught:
        gate.push(remote, "", FILE)
    assert caught.value.exit_code == ROLLED_BACK


def test_a_confirmation_whose_answer_was_lost_counts(
    fake_ssh: FakeSsh, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate.time, "sleep", lambda _seconds: None)
    answers(
        fake_ssh,
        {
            "apply": (0, {**APPLIED, "token": "abc"}),
            "confirm": (255, {}),
            "rollback": (0, {"rolled_back": False}),
            "status": (0, {"rolled_back": None}),
        },
    )
    assert gate.push(remote, "", FILE)["token"] == "abc"  # noqa: S105 - names a push, opens nothing


LOST = {"apply": (0, {**APPLIED, "token": "abc"}), "confirm": (255, {})}


def push_and_wait(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Push to a host that is lost; the waiting for its way back costs no time and is that long."""
    waited: list[float] = []
    monkeypatch.setattr(gate.time, "sleep", waited.append)
    try:
        return gate.push(remote, "", FILE)
    finally:
        assert gate.WAY_BACK - 10 < max(waited) <= gate.WAY_BACK + gate.LATE < 60


def test_a_host_that_was_lost_is_asked_again_once_it_has_taken_the_push_back(
    fake_ssh: FakeSsh, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"rolled_back": {"token": "abc", "at": 1, "why": "it was not confirmed in time"}}
    answers(fake_ssh, {**LOST, "rollback": [(255, {}), (0, {"rolled_back": False})], "status": (0, known)})
    with pytest.raises(UserError, match="the list before it is in force again") as caught:
        push_and_wait(remote, monkeypatch)
    assert caught.value.exit_code == ROLLED_BACK
    assert "ControlPath=none" in fake_ssh.calls[-1][0], "the login that pushed may be dead"


def test_a_confirmation_that_came_through_counts_although_the_host_was_lost_after_it(
    fake_ssh: FakeSsh, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(
        fake_ssh, {**LOST, "rollback": [(255, {}), (0, {"rolled_back": False})], "status": (0, {"rolled_back": None})}
    )
    assert push_and_wait(remote, monkeypatch)["token"] == "abc"  # noqa: S105 - names a push, opens nothing


def test_of_a_host_that_stays_lost_nothing_is_claimed(
    fake_ssh: FakeSsh, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(fake_ssh, {**LOST, "rollback": (255, {})})
    with pytest.raises(UserError, match="whether it is in force is not known") as caught:
        push_and_wait(remote, monkeypatch)
    assert caught.value.exit_code == HOST_UNUSABLE
    assert "taken back" not in caught.value.message
    assert "the same command again" in caught.value.fix
    assert "invoke friends.list --host myvps" in caught.value.fix


def mistake(**more: Any) -> dict[str, Any]:
    return {"error": {"message": "it is wrong.", "fix": "", "file": None, "line": None, **more}}


@pytest.mark.parametrize(
    ("code", "answer", "begins", "exit_code"),
    [
        (2, mistake(file="/home/me/friends.toml", line=3), "/home/me/friends.toml:3: it is wrong.", BAD_INPUT),
        (2, mistake(), "on myvps: it is wrong.", BAD_INPUT),
        (3, mistake(), "on myvps: it is wrong.", DEPLOY_FAILED),
        (1, mistake(), "on myvps: it is wrong.", DEPLOY_FAILED),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_host(
    fake_ssh: FakeSsh, remote: Remote, code: int, answer: Any, begins: str, exit_code: int
) -> None:
    fake_ssh.answers(json.dumps(answer), code=code)
    with pytest.raises(UserError) as caught:
        gate.push(remote, "", FILE)
    assert caught.value.message.startswith(begins)
    assert (caught.value.exit_code, bool(caught.value.fix)) == (exit_code, True)


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("netplay-relay: error: argument COMMAND: invalid choice: 'gate' (choose from ...)", "older than its gate"),
        (f"/usr/bin/python3: can't open file '{PROGRAM}': [Errno 2] No such file", "no relay on myvps"),
    ],
)
def test_a_host_without_a_gate_is_told_to_be_deployed_to(
    fake_ssh: FakeSsh, remote: Remote, stderr: str, words: str
) -> None:
    fake_ssh.answers(stderr=stderr, code=2)
    with pytest.raises(UserError, match=words) as caught:
        gate.look(remote, "", FILE)
    assert caught.value.exit_code == HOST_UNUSABLE
    assert "invoke deploy --host myvps" in caught.value.fix


def test_sudos_password_is_the_first_line_and_in_no_command_line(fake_ssh: FakeSsh, remote: Remote) -> None:
    answers(fake_ssh, {"apply": (0, APPLIED)})
    gate.push(Remote(remote.place, remote.link, become=True, password="it is $ecret"), "the list", FILE)  # noqa: S106
    ((arguments, text),) = fake_ssh.calls
    assert text == "it is $ecret\nthe list"
    assert "ecret" not in " ".join(arguments)


@pytest.mark.parametrize(
    ("password", "stderr", "words"),
    [
        ("", "sudo: a password is required\n", "sudo on myvps asks your account for a password"),
        (
            "x",
            "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
            "did not take",
        ),
    ],
)
def test_a_sudo_that_says_no_is_answered_with_what_to_type(
    fake_ssh: FakeSsh, remote: Remote, password: str, stderr: str, words: str
) -> None:
    fake_ssh.answers("Welcome\n", stderr=stderr, code=1)
    with pytest.raises(UserError, match=words) as caught:
        gate.look(Remote(remote.place, remote.link, become=True, password=password), "", FILE)
    assert caught.value.exit_code == HOST_UNUSABLE
    assert password or "the same command with --ask-become" in caught.value.fix


def test_words_of_the_program_itself_are_not_taken_for_sudos(fake_ssh: FakeSsh, remote: Remote) -> None:
    fake_ssh.answers(json.dumps(mistake()), stderr="sudo: unable to resolve host x\n", code=1)
    with pytest.raises(UserError, match="on myvps: it is wrong"):
        gate.look(Remote(remote.place, remote.link, become=True), "", FILE)


def test_what_changed_is_told_with_what_the_owner_should_know(capsys: pytest.CaptureFixture[str]) -> None:
    gate.tell({**APPLIED, "added": [f"192.0.2.{n}/32" for n in range(30)], "checked": True})
    said = capsys.readouterr().out
    assert "192.0.2.19/32 and 10 more would be let in" in said
    assert "note: ufw is active" in said


def test_friends_mean_the_host_of_the_last_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "lab", lambda spec, *, check: (spec.name, check))
    config = tmp_path / "config file"
    config.write_text("")
    last.remember(target.real("myvps", config))
    assert (last.resolve(None, None).host.alias, last.resolve(None, None).ssh_config) == ("myvps", config)
    assert last.resolve("other", None).host.alias == "other"
    last.forget(target.real("other"))
    assert last.resolve(None, None).host.alias == "myvps"
    last.forget(target.real("myvps"))
    assert last.resolve(None, None) == ("lab", True)


def test_what_the_owner_should_worry_about_is_said_in_sentences() -> None:
    state: dict[str, Any] = {
        "present": False, "agent": None, "problem": "nft says no", "warnings": ["w"], "others": ["o"],
        "rolled_back": {"at": 1, "why": "it was not confirmed in time", "token": "x"},
        "healed": {"count": 2, "at": 1, "what": "our rules were gone"},
    }  # fmt: skip
    problems = commands.problems(state)
    assert len(problems) == 7
    for word in ("systemctl start", "sv start", "rc-service netplay-relay-firewall start"):
        assert word in problems[1]
    fine = {**state, "present": True, "agent": 7, "problem": "", "warnings": [], "others": [], "rolled_back": None}
    assert commands.problems({**fine, "healed": {"count": 0, "at": None, "what": ""}}) == []


THEIRS = {
    "error": {"message": "it would remove them", "fix": "", "file": None, "line": None},
    "others": {
        "digest": "abcd",
        "friends": [{"name": "ben", "ip": ["203.0.113.9/32"], "dns": [], "until": None, "note": ""}],
    },
}


def test_friends_of_another_owner_are_named_with_what_to_type(fake_ssh: FakeSsh, remote: Remote) -> None:
    answers(fake_ssh, {"apply": (gate.THEIRS, THEIRS)})
    with pytest.raises(gate.TheirsError, match="does not know: ben") as caught:
        gate.push(remote, "the list", FILE, known=["anna"])
    assert "invoke friends.push --keep-theirs" in caught.value.fix
    assert "invoke friends.push --drop-theirs" in caught.value.fix
    ((first, _),) = fake_ssh.calls
    assert "--based-on" in first[-1]


def test_friends_that_were_sent_from_here_before_are_removed_without_a_word(fake_ssh: FakeSsh, remote: Remote) -> None:
    answers(fake_ssh, {"apply": [(gate.THEIRS, THEIRS), (0, {**APPLIED, "token": None})]})
    gate.push(remote, "the list", FILE, known=["anna", "ben"])
    assert "--based-on abcd" in fake_ssh.calls[1][0][-1]


def test_whoever_drops_everybody_asks_for_nothing(fake_ssh: FakeSsh, remote: Remote) -> None:
    answers(fake_ssh, {"apply": (0, {**APPLIED, "token": None})})
    gate.push(remote, "the list", FILE)
    assert "--based-on" not in fake_ssh.calls[0][0][-1]
