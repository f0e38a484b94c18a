"""Programs edit friends.toml the way its owner would: comments stay, and nothing wrong is ever written."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit import friends
from toolkit.errors import UserError

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
    assert friends.put(path, "carla", ["192.0.2.1"], note="new")
    assert path.read_text() == OWN + '\n[[friend]]\nname = "carla"\nip = "192.0.2.1"\nnote = "new"\n'


def test_another_address_of_a_friend_is_added_to_theirs(path: Path) -> None:
    assert friends.put(path, "anna", ["192.0.2.1"])
    text = path.read_text()
    assert '"anna"   # from school' in text
    assert [str(network) for network in friends.load(path)[0].addresses] == ["203.0.113.7/32", "192.0.2.1/32"]


@pytest.mark.parametrize("address", ["203.0.113.7", "203.0.113.7/32"])
def test_what_is_there_already_changes_nothing(path: Path, address: str) -> None:
    assert not friends.put(path, "anna", [address])
    assert not friends.put(path, "bert", ["198.51.100.9", "2001:db8::5"])
    assert path.read_text() == OWN


def test_only_these_addresses_means_no_others(path: Path) -> None:
    assert friends.put(path, "bert", ["192.0.2.1"], only=True)
    assert [str(network) for network in friends.load(path)[1].addresses] == ["192.0.2.1/32"]
    assert not friends.put(path, "bert", ["192.0.2.1"], only=True)


def test_a_file_with_nobody_gets_its_first_friend_below_its_comments(tmp_path: Path) -> None:
    file = tmp_path / "friends.toml"
    file.write_text("# Who may come in\n")
    friends.put(file, "anna", ["203.0.113.7", "2001:db8::7"])
    assert file.read_text().startswith("# Who may come in\n\n[[friend]]\n")
    assert len(friends.load(file)[0].addresses) == 2


def test_a_broken_file_is_left_as_it_is(path: Path) -> None:
    path.write_text(OWN + '[[friend]]\nname = "dora"\nip = "203.0.113.777"\n')
    before = path.read_text()
    with pytest.raises(UserError) as caught:
        friends.put(path, "anna", ["192.0.2.1"])
    assert caught.value.message.startswith(f"{path}:11: ")
    assert "203.0.113.777" in caught.value.message
    assert path.read_text() == before


def test_a_bad_name_is_refused_and_nothing_is_written(path: Path) -> None:
    with pytest.raises(UserError, match="name"):
        friends.put(path, 'a"b', ["192.0.2.1"])
    assert path.read_text() == OWN


@pytest.mark.parametrize(
    "text", ["anna", "=203.0.113.7", "anna=", "anna=203.0.113", "anna=0.0.0.0/0", "anna=10.0.0.1/8"]
)
def test_a_friend_typed_wrong_is_refused_before_anything_happens(text: str) -> None:
    with pytest.raises(UserError) as caught:
        friends.parse_option(text)
    assert caught.value.fix


def test_a_friend_typed_right_is_name_and_address() -> None:
    assert friends.parse_option("anna b = 2001:db8::/64") == ("anna b", "2001:db8::/64")


def test_the_list_shows_addresses_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    from toolkit import inventory
    from toolkit.hosts import parse_host
    from toolkit.tasks.friends import show

    files = inventory.files_of(parse_host("myvps"))
    # ':b:' is a picture to a terminal library, '[red]' a colour.
    inventory.write(files.friends, '[[friend]]\nname = "an[red]na"\nip = "fd00:b:1::/64"\n')
    show.body(None, host="myvps")
    shown = capsys.readouterr().out
    assert "an[red]na" in shown
    assert "fd00:b:1::/64" in shown
