"""relay.toml: what is read, and the sentence for every mistake."""

from __future__ import annotations

import dataclasses
import errno
import re
import tomllib
from pathlib import Path

import pytest

import relay
from relay.config import TABLES, Config, RoomConfig, load, parse
from relay.tomlfile import ConfigError, unreadable

FILE = Path("relay.toml")
EXAMPLE = Path(relay.__file__).parent / "relay.toml"


def test_an_address_has_one_form_and_is_listened_on_once() -> None:
    config = parse('[listen]\nbind = ["0:0:0:0:0:0:0:1", "::1"]', FILE)
    assert config.listen.bind == ("::1",)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_bytes(b"\xef\xbb\xbf[listen]\nport = 4000\n")
    assert load(tmp_path / "relay.toml").listen.port == 4000


def test_brackets_without_end_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="this is not TOML"):
        parse("x = " + "[" * 100_000, FILE)


def test_an_empty_file_means_the_defaults() -> None:
    assert parse("", FILE) == Config()


def test_settings_are_read() -> None:
    config = parse('[listen]\nport = 4000\nbind = "127.0.0.1"\n[timeouts]\nlink = 5\n[log]\nlevel = "debug"', FILE)
    assert config.listen.port == 4000
    assert config.listen.bind == ("127.0.0.1",)
    assert config.timeouts.link == 5.0
    assert config.log.level == "debug"


def test_rooms_are_read_and_their_ports_served() -> None:
    config = parse('[[room]]\nid = "FridayNightRoom1"\nport = 55440\n[[room]]\nid = "SundayNightRoom2"', FILE)
    assert config.rooms == (RoomConfig("FridayNightRoom1", 55440), RoomConfig("SundayNightRoom2"))
    assert config.ports == (55435, 55440)


def test_the_example_is_right_as_it_stands() -> None:
    assert load(EXAMPLE) == Config()


def test_the_example_documents_every_setting_with_its_default() -> None:
    before_rooms = EXAMPLE.read_text().partition("# Rooms with names")[0]
    documented = tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", before_rooms))
    assert documented["gate"].pop("allowlist") == "/etc/netplay-relay/allowlist"
    assert documented["control"].pop("socket") == "/run/netplay-relay/control.sock"
    real = {table: dataclasses.asdict(kind()) for table, kind in TABLES.items()}
    del real["gate"]["allowlist"], real["control"]["socket"]
    real["listen"]["bind"] = list(real["listen"]["bind"])
    real["coreless"]["devices"] = list(real["coreless"]["devices"])
    assert documented == real


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[listen]\nmax_segment = 87", 2, "max_segment must be 0, or from 88 to 32767 bytes, not 87"),
        ("[listen]\nmax_segment = 32768", 2, "max_segment must be 0, or from 88 to 32767 bytes"),
        ("[listen]\nmax_segment = true", 2, "max_segment must be 0, or from 88 to 32767 bytes"),
        ("[listen]\nport = 99999", 2, "port must be a port from 1 to 65535, not 99999"),
        ('[listen]\n\nport = "55435"', 3, 'not "55435"'),
        ("[listen]\nport = true", 2, "not True"),
        ('[listen]\nbind = ["relay.example"]', 2, "addresses to listen on"),
        ("[listen]\nbind = []", 2, "addresses to listen on"),
        ('[listen]\nbind = ["fe80::1%eth0"]', 2, "addresses to listen on"),
        ('[listen]\nbind = ["::ffff:192.0.2.1"]', 2, "addresses to listen on"),
        ('[listen]\nbind = ["0.0.0.0", "192.0.2.1"]', 2, "0.0.0.0 covers 192.0.2.1 already. Leave one of them out."),
        ('[control]\nsocket = "/run/a\\u0000b"', 2, "the absolute path of a file"),
        ("[listen]\nport = " + "9" * 5000, 2, "this is not TOML"),
        ("[listen]\nprot = 1", 2, "Did you mean port?"),
        ("[listen]\nxyzzy = 1", 2, "[listen] knows: port, bind, max_segment."),
        ("[lisen]\nport = 1", 1, "Did you mean [listen]?"),
        ("port = 55435", 1, "It belongs under [listen]."),
        ("xyzzy = 55435", 1, "Settings stand under a [table]."),
        ("listen = 55435", 1, "Write [listen] on a line of its own."),
        ("[limits]\nsessions = 0", 2, "a whole number above 0"),
        ("[limits]\nsessions = 1.5", 2, "a whole number above 0"),
        ("[timeouts]\nlink = -1", 2, "a number of seconds above 0"),
        ("[timeouts]\nlink = inf", 2, "a number of seconds above 0"),
        ('[log]\nlevel = "loud"', 2, 'one of "debug", "info", "warning", "error", not "loud"'),
        ('[gate]\nallowlist = "friends"', 2, "the absolute path of a file"),
        ("[gate]\nlink_from_host_address = 1", 2, "true or false"),
        ("[server]\nport = 1", 2, "is now called listen.port. Write port under [listen]."),
        ("[session]\nmax = 1", 2, "is now called limits.sessions"),
        ('[log]\npath = "x.log"', 2, "journalctl"),
        ("[listen]\nport = ", 2, "this is not TOML"),
        ('[[room]]\nid = "short"', 2, "16 characters out of A-Z a-z 0-9 + /"),
        ("[[room]]\nport = 55440", 1, "16 characters"),
        ('[[room]]\nid = "FridayNightRoom1"\n[[room]]\nid = "FridayNightRoom1"', 4, "two rooms have the id"),
        ('[[room]]\nid = "FridayNightRoom1"\nport = 55435', 3, "already taken in this file"),
        ('[[room]]\nid = "FridayNightRoom1"\nname = "x"', 3, "[room] has no setting name"),
        ('[room]\nid = "FridayNightRoom1"', 1, "Write [[room]]"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert caught.value.line == line
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"relay.toml:{line}: ")


def test_a_file_that_is_not_there_is_named_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no.toml")
    there = f"{tmp_path}/no.toml: cannot read this file: No such file or directory. See what there is: ls -l {tmp_path}"
    assert str(caught.value) == there


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"not UTF-8 text\. Save it as UTF-8"):
        load(tmp_path / "x.toml")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Is a directory\. Name a file in it"):
        load(tmp_path)


def test_a_file_of_somebody_elses_is_named_with_what_to_do() -> None:
    error = unreadable(FILE, PermissionError(errno.EACCES, "Permission denied"))
    assert str(error).endswith("Permission denied. Let this account read it, or try again with: sudo")


def test_every_setting_can_be_set_to_its_own_default() -> None:
    def shown(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return str(list(value)) if isinstance(value, tuple) else f'"{value}"' if isinstance(value, str) else str(value)

    lines = []
    for table, kind in TABLES.items():
        lines.append(f"[{table}]")
        defaults = dataclasses.asdict(kind())
        lines += [f"{name} = {shown(value)}" for name, value in defaults.items() if value is not None]
    assert parse("\n".join(lines), FILE) == Config()
