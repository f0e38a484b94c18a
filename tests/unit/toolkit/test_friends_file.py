"""Programs edit friends.toml the way its owner would: comments stay, and nothing wrong is ever written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from relay.gate.policy import friends as policy
from toolkit.errors import UserError
from toolkit.friends import parse
from toolkit.friends.edit import FriendChange, _entry, put, sendable, wished, without
from toolkit.friends.push import FriendsPush

OWN = """\
# My friends
[[friend]]
name = "anna"   # from school
ip = "203.0.113.7"

[[friend]]
name = "bert"
ip = ["198.51.100.0/24", "2001:db8::/64"] # both
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a friends.toml with comments."""
    file = tmp_path / "friends.toml"
    file.write_text(OWN)
    return file


def test_a_new_friend_stands_at_the_end_and_all_else_stays(path: Path) -> None:
    assert put(path, FriendChange("carla", ["192.0.2.1"], note="new"))
    assert path.read_text() == OWN + '\n[[friend]]\nname = "carla"\nip = "192.0.2.1"\nnote = "new"\n'


TEXT = st.characters(exclude_categories=["Cs"])


@given(st.text(TEXT), st.lists(st.text(TEXT, min_size=1)))
def test_a_new_friend_is_written_as_what_edits_the_file_would(note: str, names: list[str]) -> None:
    """Whatever was typed for a note, quotes and line ends too, is one value; names are checked when all is read."""
    written = _entry(FriendChange("anna", ["192.0.2.1"], names, note=note))
    values = {"name": "anna", "ip": "192.0.2.1", "dns": names[0] if len(names) == 1 else names, "note": note}
    kept = {key: value for key, value in values.items() if value}
    assert tomllib.loads(written) == {"friend": [kept]}
    assert tomlkit.parse(written).unwrap() == {"friend": [kept]}


def test_another_address_of_a_friend_is_added_to_theirs(path: Path) -> None:
    assert put(path, FriendChange("anna", ["192.0.2.1"]))
    text = path.read_text()
    assert '"anna"   # from school' in text
    assert [str(network) for network in parse.load(path)[0].addresses] == ["203.0.113.7/32", "192.0.2.1/32"]


@pytest.mark.parametrize("address", ["203.0.113.7", "203.0.113.7/32"])
def test_what_is_there_already_changes_nothing(path: Path, address: str) -> None:
    assert not put(path, FriendChange("anna", [address]))
    assert not put(path, FriendChange("bert", ["198.51.100.9", "2001:db8::5"]))
    assert path.read_text() == OWN


def test_only_these_addresses_means_no_others(path: Path) -> None:
    assert put(path, FriendChange("bert", ["192.0.2.1"], only=True))
    assert [str(network) for network in parse.load(path)[1].addresses] == ["192.0.2.1/32"]
    assert not put(path, FriendChange("bert", ["192.0.2.1"], only=True))


def test_a_file_with_nobody_gets_its_first_friend_below_its_comments(tmp_path: Path) -> None:
    file = tmp_path / "friends.toml"
    file.write_text("# Who may come in\n")
    put(file, FriendChange("anna", ["203.0.113.7", "2001:db8::7"]))
    assert file.read_text().startswith("# Who may come in\n\n[[friend]]\n")
    assert len(parse.load(file)[0].addresses) == 2


def test_a_broken_file_is_left_as_it_is(path: Path) -> None:
    path.write_text(OWN + '[[friend]]\nname = "dora"\nip = "203.0.113.777"\n')
    before = path.read_text()
    with pytest.raises(UserError) as caught:
        put(path, FriendChange("anna", ["192.0.2.1"]))
    assert caught.value.message.startswith(f"{path}:11: ")
    assert "203.0.113.777" in caught.value.message
    assert path.read_text() == before


def test_a_bad_name_is_refused_and_nothing_is_written(path: Path) -> None:
    with pytest.raises(UserError, match="name"):
        put(path, FriendChange('a"b', ["192.0.2.1"]))
    assert path.read_text() == OWN


@pytest.mark.parametrize(
    "text", ["anna", "=203.0.113.7", "anna=", "anna=203.0.113", "anna=0.0.0.0/0", "anna=10.0.0.1/8"]
)
def test_a_friend_typed_wrong_is_refused_before_anything_happens(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse.parse_option(text)
    assert caught.value.fix


def test_a_friend_typed_right_is_name_and_address() -> None:
    assert parse.parse_option("anna b = 2001:db8::/64") == ("anna b", "2001:db8::/64")


def test_a_friend_may_come_by_name_for_a_time_and_be_changed_later(path: Path) -> None:
    assert put(path, FriendChange("dora", names=["dora.example.org"], until=2_000_000_000, note="new"))
    dora = parse.load(path)[2]
    assert (dora.names, dora.until, dora.note) == (("dora.example.org",), 2_000_000_000, "new")
    assert put(path, FriendChange("dora", ["192.0.2.9"], ["dora.example.net"], 2_000_000_060))
    dora = parse.load(path)[2]
    assert (dora.names, dora.until) == (("dora.example.org", "dora.example.net"), 2_000_000_060)
    assert [str(network) for network in dora.addresses] == ["192.0.2.9/32"]


def test_a_friend_without_an_address_is_refused_unless_already_known(path: Path) -> None:
    with pytest.raises(UserError, match="no address"):
        wished(OWN, path, FriendChange("dora", until=2_000_000_000))
    assert "until" in wished(OWN, path, FriendChange("anna", until=2_000_000_000))


def test_a_friend_who_goes_takes_nothing_else_along(path: Path) -> None:
    left = without(OWN, path, "bert")
    assert left.startswith(OWN[: OWN.index('[[friend]]\nname = "bert"')].rstrip())
    assert [friend.name for friend in parse.parse(left, path)] == ["anna"]
    assert parse.parse(without(left, path, "anna"), path) == []
    assert "# My friends" in without(left, path, "anna")
    with pytest.raises(UserError, match="names no 'dora'") as caught:
        without(OWN, path, "dora")
    assert "anna, bert" in caught.value.fix


NOW = 1_800_000_000.0
OVER = '[[friend]]\nname = "carla"\nip = "192.0.2.1"\nuntil = "2027-01-15 08:59:00+01:00"\n'
LATER = '[[friend]]\nname = "dora"\nip = "192.0.2.2"\nuntil = "2027-01-16 08:59:00+01:00"\n'


def test_who_was_sent_before_the_end_is_left_out_after_it_and_lines_stay_where_they_are(path: Path) -> None:
    text = OWN + OVER + LATER
    left, over = sendable(text, path, text, NOW)
    assert [friend.name for friend in over] == ["carla"]
    assert [(friend.name, friend.line) for friend in parse.parse(left, path)] == [
        (friend.name, friend.line) for friend in parse.parse(text, path) if friend.name != "carla"
    ]


def test_an_end_that_was_over_when_it_was_written_is_refused_with_its_line(path: Path) -> None:
    for before in ("", OWN, OVER.replace("2027", "2028")):
        with pytest.raises(UserError) as caught:
            sendable(OWN + OVER, path, before, NOW)
        assert caught.value.message.startswith(f"{path}:12: carla's entry ended")


def test_an_end_that_has_come_is_refused_where_the_entry_cannot_be_left_out(path: Path) -> None:
    text = 'friend = [{ name = "carla", ip = "192.0.2.1", until = "2027-01-15 08:59:00+01:00" }, '
    text += '{ name = "dora", ip = "192.0.2.2" }]\n'
    with pytest.raises(UserError, match="ended"):
        sendable(text, path, text, NOW)


def test_a_local_time_is_sent_with_its_offset(path: Path) -> None:
    text = '[[friend]]\nname = "carla"\nip = "192.0.2.1"\nuntil = "2028-01-15 08:59"\n'
    left, _ = sendable(text, path, "", NOW)
    assert parse.parse(left, path)[0].until == parse.parse(text, path)[0].until
    assert "08:59:00" in left


@pytest.mark.parametrize(
    ("length", "until", "end"),
    [("12h", None, NOW + 43200), ("1d12h", None, NOW + 129600), (None, "2027-01-15 09:00:01+01:00", NOW + 1)],
)
def test_an_end_is_typed_as_a_length_or_a_moment(length: str | None, until: str | None, end: float) -> None:
    assert parse.parse_end(length, until, NOW) == end
    assert parse.parse_end(None, None, NOW) is None


@pytest.mark.parametrize(
    ("length", "until"),
    [("12", None), ("0h", None), ("-1h", None), (None, "tomorrow"), (None, "2020-01-01 10:00"), ("1h", "2028-01-01")],
)
def test_an_end_typed_wrong_is_refused(length: str | None, until: str | None) -> None:
    with pytest.raises(UserError) as caught:
        parse.parse_end(length, until, NOW)
    assert caught.value.fix


def test_adding_a_friend_parses_each_text_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as it was, and as it is sent: the copy of what was sent last is the file as it was."""
    texts: list[str] = []
    real = policy.parse
    monkeypatch.setattr(policy, "parse", lambda text, name: texts.append(text) or real(text, name))
    path.with_name(".sent.toml").write_text(OWN)
    changed = wished(OWN, path, FriendChange("carla", ["192.0.2.1"]))
    FriendsPush.of_text(changed, path, 0.0, OWN)
    assert texts == [OWN, changed]
