"""What a Case comes to: each finding by itself, where a lab shows it only with much ado, and how they are told."""

from __future__ import annotations

import ast
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from rich.console import Console

import relay
from relay.outcomes import Outcome
from tests.support.statuses import client, session
from tests.support.statuses import status as state
from toolkit.console import ROOT
from toolkit.doctor import bundle, findings, onhost, run, show
from toolkit.doctor.case import Case
from toolkit.doctor.finding import Finding, Severity, fine, note, trouble, warning
from toolkit.doctor.probe import Latency, Reach, Talk
from toolkit.doctor.target import Target
from toolkit.errors import HOST_UNUSABLE, TROUBLE_FOUND, WARNINGS_FOUND, UserError
from toolkit.hosts import last, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.hosts.remote import Remote
from toolkit.lab import DEFAULT_SPEC
from toolkit.play import launch, ways
from toolkit.ssh.connection import Connection
from toolkit.tasks.doctor import doctor
from toolkit.tasks.status import status
from toolkit.tasks.watch import watch

RELAY = "203.0.113.10"
MYVPS = parse_host("myvps")
SYSTEM = {"os": "Debian", "kernel": "6", "python": "3.11.2", "init": "systemd"}
FOLDER = ROOT / "toolkit" / "doctor" / "findings"


def a_case(owner: bool = False, **more: Any) -> Case:
    place = target.DeployTarget(parse_host("myvps")) if owner else None
    return Case(Target(RELAY, (55435,), place), [RELAY], **more)


def told(case: Case, name: str) -> list[Finding]:
    return [finding for finding in findings.every(case) if finding.name == name]


def one(case: Case, name: str) -> Finding:
    (finding,) = told(case, name)
    return finding


def test_every_file_is_in_the_order_and_in_the_book() -> None:
    files = {path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    assert files == set(findings.ORDER)
    book = (ROOT / "docs" / "troubleshooting.md").read_text()
    table = book[book.index("## What the doctor looks at") :]
    assert [name for name in findings.ORDER if name not in table] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_finding_asks_nobody_itself(path: Path) -> None:
    """Only what was gathered is judged: no module opens a socket, a file of the system or a program."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & {"socket", "subprocess", "os", "urllib", "time", "asyncio"}


def test_what_is_sent_to_the_host_needs_nothing_there() -> None:
    import sys

    tree = ast.parse(Path(onhost.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_a_host_that_answers_in_another_shape_spoils_no_other_finding() -> None:
    case = a_case(owner=True, host={"time": 5.0, "problems": {}, "disk": [{"odd": 1}], "files": 7, "relay": {"x": 1}})
    names = {finding.name for finding in findings.every(case) if "could not be judged" in finding.sentence}
    assert "disk" in names
    assert "clock" not in names


def test_what_others_say_cannot_steer_the_terminal() -> None:
    said = {"settings": {"good": False, "said": "line\x1b[2J 5:\r\u202eevil", "text": ""}, "problems": {}, "time": 0.0}
    (finding,) = told(a_case(owner=True, host=said), "settings")
    assert finding.evidence == "line?[2J 5:??evil"


def test_an_account_that_may_not_ask_says_so_instead_of_blaming_the_relay() -> None:
    services = {"netplay-relay": {"code": 0, "said": "run", "errors": ""}}
    host = {"uid": 1000, "services": services, "system": SYSTEM, "problems": {"relay": "not for this account"}}
    found = list(findings.every(a_case(owner=True, host={**host, "time": 0.0})))
    assert not [finding for finding in found if finding.severity is Severity.TROUBLE]
    assert any("not root" in finding.sentence for finding in found)


def test_ipv6_that_leads_nowhere_is_a_warning_and_a_machine_without_it_a_note() -> None:
    good, bad = Reach(RELAY, 0.02), Reach("2001:db8::10", None, "timeout")
    finding = one(a_case(reached=[good, bad]), "ipv6")
    assert (finding.severity, "leads nowhere" in finding.sentence) == (Severity.WARNING, True)
    assert "AAAA" in finding.cure
    finding = one(a_case(reached=[good, Reach("2001:db8::10", None, "no-way")]), "ipv6")
    assert finding.severity is Severity.NOTE
    finding = one(a_case(reached=[Reach("2001:db8::10", 0.02), Reach(RELAY, None, "refused")]), "ipv6")
    assert "nobody can host" in finding.sentence
    assert "friends.check" not in finding.cure


def before(cure: str, first: str, then: str) -> bool:
    """Tell whether a cure has both, the list of friends before any firewall."""
    return -1 < cure.find(first) < cure.find(then)


def test_one_family_that_is_dropped_is_looked_for_on_the_list_before_a_firewall_is_blamed() -> None:
    six, four = Reach("2001:db8::10", 0.02), Reach(RELAY, None, "timeout")
    finding = one(a_case(reached=[six, four]), "ipv6")
    assert "you cannot host" in finding.sentence
    assert before(finding.cure, "invoke friends.check YOUR-IPv4-ADDRESS", "firewall")
    finding = one(a_case(reached=[Reach(RELAY, 0.02), Reach("2001:db8::10", None, "timeout")]), "ipv6")
    assert before(finding.cure, "invoke friends.check YOUR-IPv6-ADDRESS", "AAAA")


@pytest.mark.parametrize(
    ("listed", "came_from", "first", "then"),
    [
        ("198.51.100.7/32", "198.51.100.7", "the list has 198.51.100.7", "firewall"),
        ("198.51.100.7/32", "192.0.2.9", "invoke friends.add me --ip 192.0.2.9 --host myvps", "firewall"),
        ("2001:db8:1::/64", "2001:db8:1::7", "no IPv4 address is on the list", "firewall"),
        ("198.51.100.7/32", "2001:db8:1::7", "invoke friends.check YOUR-IPv4-ADDRESS --host myvps", "firewall"),
    ],
)
def test_an_owner_is_told_what_the_list_says_of_the_family_that_is_dropped(
    listed: str, came_from: str, first: str, then: str
) -> None:
    entry = {"network": listed, "friends": ["anna"], "names": [], "in_force": True}
    host = {"came_from": came_from, "gate": {"entries": [entry]}, "problems": {}, "time": 0.0}
    reached = [Reach("2001:db8::10", 0.02), Reach(RELAY, None, "timeout")]
    finding = one(a_case(owner=True, reached=reached, host=host, talk=Talk("relay", "", "2001:db8:1::7")), "ipv6")
    assert before(finding.cure, first, then), finding.cure


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("full", "is full"),
        ("old-relay", "1.9 and older"),
        ("closed", "hung up"),
        ("silent", "said nothing"),
        ("other", "is not a netplay relay"),
        ("denied", "not on its list"),
    ],
)
def test_what_answers_is_named(kind: str, words: str) -> None:
    finding = one(a_case(reached=[Reach(RELAY, 0.02)], talk=Talk(kind, "192.0.2.1", said=b"SSH-2.0")), "protocol")
    assert finding.severity is Severity.TROUBLE
    assert words in finding.sentence
    assert finding.cure


@pytest.mark.parametrize(
    ("ms", "words"),
    [(5, "within a frame"), (30, "2 frames"), (90, "most games bear that"), (200, "fast games suffer")],
)
def test_a_round_trip_is_told_in_frames(ms: int, words: str) -> None:
    assert words in one(a_case(latency=Latency([ms / 1000] * 5)), "latency").sentence


@pytest.mark.parametrize("ms", [5, 20, 30, 100, 300])
def test_the_latency_frames_that_are_advised_are_those_of_play_host(ms: int) -> None:
    sentence = one(a_case(latency=Latency([ms / 1000] * 5)), "latency").sentence
    advised = [int(number) for number in re.findall(r"Input Latency Frames (\d+)", sentence)]
    wanted = ways.latency_frames(ms / 1000)
    assert advised == ([wanted] if wanted else [])
    assert all(launch.frames(str(number)) == number for number in advised)


def test_an_owner_whose_machine_is_no_friend_is_told_how_to_become_one() -> None:
    entry = {"network": "198.51.100.7/32", "friends": ["anna"], "names": [], "in_force": True}
    host = {"gate": {"entries": [entry]}, "came_from": "192.0.2.9", "problems": {}, "time": 0.0}
    case = a_case(owner=True, host=host, reached=[Reach(RELAY, None, "timeout")])
    finding = one(case, "reach")
    assert finding.severity is Severity.NOTE
    assert "invoke friends.add me --ip 192.0.2.9 --host myvps" in finding.cure
    host["came_from"] = "198.51.100.7"
    assert one(case, "reach").severity is Severity.TROUBLE


@pytest.mark.parametrize("manager", ["runit", "openrc"])
@pytest.mark.parametrize(
    ("code", "said", "fine_"), [(0, "run: netplay-relay: (pid 5) 9s", True), (0, "down: x: 1s", False)]
)
def test_other_service_managers_are_understood(manager: str, code: int, said: str, fine_: bool) -> None:
    services = {"netplay-relay": {"code": code, "said": said, "errors": ""}}
    host = {"services": services, "relay": state(), "system": {"init": manager}, "problems": {}, "time": 0.0}
    finding = one(a_case(owner=True, host=host), "service")
    assert (finding.severity is Severity.FINE) is fine_


@pytest.mark.parametrize(
    ("manager", "start", "log"),
    [
        ("systemd", "systemctl start netplay-relay", "journalctl -u netplay-relay -n 100"),
        ("runit", "sv start netplay-relay", "tail -n 100 /var/log/netplay-relay/current"),
        ("openrc", "rc-service netplay-relay start", "tail -n 100 /var/log/netplay-relay.log"),
    ],
)
def test_what_is_typed_on_the_host_is_in_its_managers_words(manager: str, start: str, log: str) -> None:
    case = a_case(owner=True, host={"system": {"init": manager}})
    assert case.service("start", "netplay-relay") == f"ssh myvps {start}"
    assert case.log() == f"ssh myvps {log}"


@pytest.mark.parametrize(
    ("config", "entry", "password", "typed"),
    [
        ("/x y/c", Entry(MYVPS, "admin", become=True), "", "ssh -F '/x y/c' -l admin myvps sudo"),
        (None, Entry(MYVPS, "admin", become=True), "a password", "ssh -t -l admin myvps sudo"),
        ("/lab/ssh_config", Entry(MYVPS), "", "ssh -F /lab/ssh_config myvps"),
    ],
)
def test_what_is_typed_on_the_host_logs_in_as_the_deployment_did(
    config: str | None, entry: Entry, password: str, typed: str
) -> None:
    place = target.DeployTarget(entry.host, None if config is None else Path(config))
    link = Connection(entry.host.alias, entry.user, place.ssh_config)
    case = a_case(owner=True, host={"system": SYSTEM})
    case.remote = Remote(place, link, entry.become, password)
    assert case.log() == f"{typed} journalctl -u netplay-relay -n 100"
    assert case.service("start", "netplay-relay.socket") == f"{typed} systemctl start netplay-relay.socket"
    assert "-> ssh HOST journalctl" in bundle.text(case, [trouble("bad", cure=case.log())])


def full_host(init: str, name: str) -> dict[str, Any]:
    """Return a host on which everything is wrong whose cure is its own: disk, clock, limit of files."""
    disk = {"path": "/var", "free": 0, "total": 10**9, "files_free": 10**6, "files_total": 10**6}
    return {
        "time": 9e9, "problems": {}, "system": {**SYSTEM, "init": init, "os": name}, "disk": [disk],
        "files": {"open": 60, "soft": 64, "hard": 64}, "clock": {"synchronized": None},
        "relay": {**state(), "connections": {"most": 512}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("init", "name", "words"),
    [
        ("systemd", "Debian GNU/Linux 12", ["journalctl --vacuum", "apt-get clean", "timedatectl", "LimitNOFILE=1024"]),
        ("runit", "Void Linux", ["xbps-remove -O", "chrony", "OPEN_FILES=1024 in /etc/sv/netplay-relay/conf"]),
        ("openrc", "Alpine Linux v3.20", ["apk cache clean", "chrony", "limits.connections"]),
    ],
)
def test_what_mends_a_host_is_in_its_own_words(init: str, name: str, words: list[str]) -> None:
    case = a_case(owner=True, host=full_host(init, name))
    cures = "".join(one(case, found).cure for found in ("disk", "clock", "files"))
    assert [word for word in words if word not in cures] == []
    others = {"journalctl", "systemctl", "timedatectl", "apt-get", "LimitNOFILE", "xbps", "apk", "OPEN_FILES"}
    foreign = [word for word in others if word in cures and not any(word in mine for mine in words)]
    assert foreign in ([], ["systemctl"] if init == "systemd" else [])


def test_the_log_of_the_package_is_syslogs() -> None:
    case = a_case(owner=True, host={"system": {"init": "runit"}, "release": {"installed": "current"}})
    assert case.log() == "ssh myvps tail -n 100 /var/log/socklog/everything/current"


@pytest.mark.parametrize(
    ("runs", "severity", "cure"),
    [
        (relay.__version__, Severity.FINE, ""),
        ("0.0.1", Severity.NOTE, "invoke xbps.build --host myvps"),
        (None, Severity.NOTE, ""),
    ],
)
def test_a_package_is_compared_by_its_version_and_no_deployment_is_told_to_change_it(
    runs: str | None, severity: Severity, cure: str
) -> None:
    program = {**state(), "program": f"netplay-relay {runs}"} if runs else None
    host = {"release": {"installed": "current"}, "relay": program, "problems": {}, "time": 0.0}
    finding = one(a_case(owner=True, host=host, release="2f169896f093c256"), "versions")
    assert (finding.severity, finding.cure) == (severity, cure)


@pytest.mark.parametrize("outcome", ["ambiguous", "not-linked", "overrun", "too-many", "no-room-free", "stranger"])
def test_ends_that_have_a_cure_are_told_with_it(outcome: str) -> None:
    host = {"relay": {**state(), "outcomes": {outcome: 30, "left": 4}}, "problems": {}, "time": 0.0}
    finding = one(a_case(owner=True, host=host), "outcomes")
    assert Outcome(outcome).doc in finding.sentence
    assert finding.cure


def test_who_plays_without_trouble_is_told_so() -> None:
    host = {"relay": state(sessions=[session("x", clients=[client("ben")])]), "problems": {}, "time": 0.0}
    assert (
        "1 joined a game now, and all of them have a good one" in one(a_case(owner=True, host=host), "players").sentence
    )


def slow(looks: int, **seen: Any) -> list[dict[str, Any]]:
    """Return a relay's states of a game in which ben stays 58 frames behind, a second apart, at 23 frames a second."""
    found = []
    for number in range(looks):
        frame = 1000 + 23 * number
        ben = client("ben", frame=frame, client_frame=frame - 58, savestates=1, **seen)
        found.append({**state(sessions=[session("x", clients=[ben])]), "age": 60.0 + number})
    return found


@pytest.mark.parametrize(
    ("seen", "severity", "words"),
    [
        ({}, Severity.WARNING, "right now the game runs at 23 frames a second: everybody waits for ben, who is 58"),
        ({"paused": True, "paused_by": "anna"}, Severity.NOTE, "right now the game is paused by anna"),
        ({"coming": 3_000_000}, Severity.NOTE, "right now a savestate of 3.0 MB is on its way to ben"),
    ],
)
def test_why_a_game_stutters_is_a_finding_with_its_case_and_cure(
    seen: dict[str, Any], severity: Severity, words: str
) -> None:
    *earlier, newest = slow(3, **seen)
    case = a_case(owner=True, host={"relay": newest, "earlier": earlier, "problems": {}, "time": 0.0})
    finding = next(each for each in findings.every(case) if each.name == "players")
    assert finding.severity is severity
    assert words in finding.sentence
    assert finding.evidence.startswith("case ")
    assert "invoke watch" in finding.cure


@pytest.mark.parametrize(("looks", "plays"), [(1, False), (onhost.LOOKS, True)])
def test_the_host_is_looked_at_as_often_as_a_pace_needs(
    looks: int, plays: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = slow(onhost.LOOKS) if plays else [{**state(), "age": 60.0}] * onhost.LOOKS
    asked = iter(states)

    def relay_says(*arguments: str) -> Any:
        if arguments[0] == "gate":
            raise RuntimeError("not here")
        return next(asked)

    monkeypatch.setattr(onhost, "relay", relay_says)
    monkeypatch.setattr(onhost, "BETWEEN", 0.0)
    for question in ("services", "log", "release", "settings", "clock", "disk", "files", "listening"):
        monkeypatch.setattr(onhost, question, lambda *_: {})
    onhost.main([])
    told = json.loads(capsys.readouterr().out)
    assert [one["age"] for one in [*told["earlier"], told["relay"]]] == [60.0 + number for number in range(looks)]


def test_trouble_warnings_and_notes_end_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.gather, "gather", lambda *_, **__: a_case())
    for found, code in (
        ([fine("a"), note("b")], 0),
        ([warning("a"), fine("b")], WARNINGS_FOUND),
        ([warning("a"), trouble("b")], TROUBLE_FOUND),
        ([], 0),
    ):
        monkeypatch.setattr(run.findings, "every", lambda _, found=found: found)
        assert run.doctor(None, f"{RELAY}|55435", as_json=True) == code


def test_json_has_each_finding_with_its_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.gather, "gather", lambda *_, **__: a_case())
    monkeypatch.setattr(run.findings, "every", lambda _: [trouble("it [b]is[/b] so" + " x" * 100, "seen", "do")])
    run.doctor(None, f"{RELAY}|55435", as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["relay"] == f"{RELAY}|55435"
    assert answer["findings"][0]["severity"] == "trouble"
    assert answer["findings"][0]["sentence"].startswith("it [b]is[/b] so")


def test_host_and_relay_together_are_refused() -> None:
    with pytest.raises(UserError, match="both given"):
        run.place_of("myvps", "203.0.113.7|55435", None)


def test_a_bundle_that_is_a_folder_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        run.doctor(None, "203.0.113.7|55435", file=tmp_path)


def test_a_bundle_that_cannot_be_written_loses_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = a_case(reached=[Reach(RELAY, None, "refused")])
    monkeypatch.setattr(run.gather, "gather", lambda *_, **__: case)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"doctor\.md cannot be written: "):
        run.doctor(None, f"{RELAY}|55435", file=tmp_path / "file" / "doctor.md")
    assert "no connection to 203.0.113.10|55435" in capsys.readouterr().out


def test_findings_fit_40_columns_and_a_command_stays_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "invoke friends.add somebody --ip 2001:db8:1:2:3:4:5:6 --host relay.example.org"
    lines = list(show.lines(trouble("something is very wrong with the whole of it", "this\nthat", command), 40))
    assert lines[0].startswith("BAD   something")
    assert max(len(line) for line in lines if "invoke" not in line) <= 40
    assert lines[-1] == f"      -> {command}"
    output = io.StringIO()
    console = Console(file=output, width=40, color_system=None, highlight=False, markup=False, soft_wrap=True)
    monkeypatch.setattr(show, "console", lambda: console)
    show.draw([trouble("[/] looks like markup")])
    assert "[/] looks like markup" in output.getvalue()
    assert "1 trouble and 0 warnings" in output.getvalue()


@pytest.mark.parametrize("task", [status, watch, doctor], ids=["status", "watch", "doctor"])
def test_a_host_that_was_never_deployed_to_is_told_so_by_each(task: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        task(Context(), host="nobody")
    assert ended.value.code == HOST_UNUSABLE
    said = capsys.readouterr().err
    assert "there is no relay on nobody" in said
    assert "invoke deploy --host nobody" in said


def test_a_player_without_a_relay_of_their_own_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last, "DEFAULT_SPEC", replace(DEFAULT_SPEC, name="no-such-lab"))
    with pytest.raises(UserError) as caught:
        run.place_of(None, None, None)
    assert "invoke doctor --relay" in caught.value.fix
