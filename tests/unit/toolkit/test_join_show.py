"""`invoke join` as it is typed: with a host that answers, on any terminal, and with what people get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.statuses import client, session, status
from toolkit.console import ROOT
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.hosts import inventory, last, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.join import show
from toolkit.join.rooms import Room

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.typed import Typing
    from tests.unit.toolkit.conftest import FakeSsh

FRIDAY = "FridayNightRoom1"
TWO = [{"id": FRIDAY, "port": 55440}, {"id": "TheOtherRoom0002", "port": 55435}]


@pytest.fixture
def myvps() -> None:
    """Let myvps be the host that was deployed to last."""
    host = parse_host("relay.example.org")
    inventory.write(inventory.files_of(host).inventory, Entry(host).render())
    last.remember(target.real("relay.example.org"))


@pytest.mark.usefixtures("myvps")
def test_all_that_is_typed_is_printed_for_the_host_of_the_last_deployment(fake_ssh: FakeSsh, invoke: Typing) -> None:
    fake_ssh.answers(json.dumps(status(sessions=[session(FRIDAY, clients=[client("ben")])])))
    done = invoke("join")
    assert (done.code, done.stderr) == (0, "")
    for line in (
        "anna hosts it with ben; core Nestopia 1.52.0, content 1234ABCD.",
        "Custom Relay Server Address  relay.example.org|55435",
        'netplay_custom_mitm_server = "relay.example.org|55435"',
        'retroarch --connect "relay.example.org|55435" -L CORE GAME',
        f"retroarch --connect relay.example.org --port 55435 --mitm-session {FRIDAY} -L CORE GAME",
        "Netplay > Connect to Netplay Host",
    ):
        assert line in done.stdout
    assert "█▀▀" in done.stdout or "▀▄" in done.stdout


@pytest.mark.usefixtures("myvps")
def test_forty_columns_without_colour_lose_nothing(fake_ssh: FakeSsh, invoke: Typing) -> None:
    fake_ssh.answers(json.dumps(status(TWO, ports=(55435, 55440))))
    done = invoke("join", COLUMNS="40", TERM="dumb", NO_COLOR="1")
    assert done.code == 0
    assert "\x1b" not in done.stdout
    table = done.stdout[: done.stdout.index("Room ")].splitlines()
    assert table
    assert max(map(len, table)) <= 40
    said = done.stdout.replace("\n", "")
    assert said.count("relay.example.org|55440") >= 3
    narrow = invoke("join", COLUMNS="20", TERM="dumb")
    assert "this terminal has 20" in narrow.stdout


@pytest.mark.usefixtures("myvps")
def test_a_terminal_that_cannot_draw_gets_a_sentence_in_place_of_the_code(fake_ssh: FakeSsh, invoke: Typing) -> None:
    fake_ssh.answers(json.dumps(status()))
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv, env = [sys.executable, "-m", "invoke", "join"], {**os.environ, **ascii_only}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env=env, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no QR code here" in done.stdout


@pytest.mark.usefixtures("myvps")
def test_the_json_has_every_line(fake_ssh: FakeSsh, invoke: Typing) -> None:
    fake_ssh.answers(json.dumps(status(TWO, ports=(55435, 55440))))
    rooms = json.loads(invoke("join", "--json").stdout)["rooms"]
    assert [room["string"] for room in rooms] == ["relay.example.org|55440", "relay.example.org|55435"]
    assert rooms[1]["string_with_id"] == "relay.example.org|55435|TheOtherRoom0002"
    (chosen,) = json.loads(invoke("join", "--json", "--room", "55440").stdout)["rooms"]
    assert chosen == rooms[0]
    assert "netplay_use_mitm_server" in chosen["appendconfig"]


@pytest.mark.usefixtures("myvps")
def test_a_code_is_written_for_one_room_and_refused_for_several(
    fake_ssh: FakeSsh, tmp_path: Path, invoke: Typing
) -> None:
    fake_ssh.answers(json.dumps(status(TWO, ports=(55435, 55440))))
    png, svg = tmp_path / "a b.png", tmp_path / "room.svg"
    done = invoke("join", "--png", str(png))
    assert done.code == 2
    assert f"--room {FRIDAY}" in done.stderr
    assert not png.exists()
    assert invoke("join", "--png", str(png), "--svg", str(svg), "--room", FRIDAY).code == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
    done = invoke("join", "--png", str(tmp_path / "no" / "such.png"), "--room", FRIDAY)
    assert (done.code, "Traceback" in done.stderr) == (2, False)
    assert "cannot be written" in done.stderr


def test_a_host_that_was_never_deployed_to_says_how_to_deploy(fake_ssh: FakeSsh, invoke: Typing) -> None:
    done = invoke("join", "--host", "newvps")
    assert done.code == HOST_UNUSABLE
    assert "there is no relay on newvps" in done.stderr
    assert "invoke deploy --host newvps" in done.stderr
    assert not (fake_ssh.folder / "calls").exists()


@pytest.mark.parametrize("typed", ["-x", "relay|55435", "a b", "x;id", "", "rélay"])
def test_an_address_that_retroarch_could_not_take_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="neither a name nor an address"):
        show.check_address(typed)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1", "this machine alone"),
        ("localhost", "this machine alone"),
        ("192.168.1.5", "its own network alone"),
        ("2001:4860::1", "IPv4 only"),
    ],
)
def test_an_address_that_friends_cannot_use_is_remarked(address: str, said: str) -> None:
    assert any(said in remark for remark in show.remarks(show.Relay(address, [Room(None, 55440)])))
    assert show.remarks(show.Relay("relay.example.org", [Room(None, 55440)])) == []
