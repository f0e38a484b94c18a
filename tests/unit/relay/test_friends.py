"""friends.toml: who is meant, and the sentence for every mistake."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from relay.gate.policy.friends import load, parse
from relay.tomlfile import ConfigError

FILE = Path("friends.toml")


def friend(ip: str) -> str:
    return f'[[friend]]\nname = "anna"\nip = {ip}'


def test_nobody_is_a_fine_list() -> None:
    assert parse("# nobody yet\n", FILE) == []


def test_a_friend_has_a_name_and_addresses() -> None:
    (anna,) = parse(friend('["203.0.113.7", "198.51.100.0/24"]') + '\nnote = "plays on Fridays"', FILE)
    assert anna.name == "anna"
    assert [str(address) for address in anna.addresses] == ["203.0.113.7/32", "198.51.100.0/24"]
    assert anna.note == "plays on Fridays"
    assert anna.line == 1


def test_one_ipv6_address_stands_for_its_household() -> None:
    (anna,) = parse(friend('"2001:db8:1:2:aaaa::7"'), FILE)
    assert anna.addresses == (ipaddress.ip_network("2001:db8:1:2::/64"),)


def test_an_ipv4_address_in_ipv6_form_is_that_ipv4_address() -> None:
    (anna,) = parse(friend('"::ffff:203.0.113.7"'), FILE)
    assert anna.addresses == (ipaddress.ip_network("203.0.113.7/32"),)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (friend('"203.0.113"'), 3, '"203.0.113" is not an IP address. Write it like 203.0.113.7'),
        (friend('"anna.example"'), 3, "is not an IP address"),
        (friend('"203.0.113.7/24"'), 3, "Write 203.0.113.0/24 for all of it"),
        (friend('"203.0.113.0/33"'), 3, "is not an address or prefix"),
        (friend('"0.0.0.0/0"'), 3, "lets in 4,294,967,296 addresses"),
        (friend('"::/0"'), 3, "households (/64 each). Write the addresses of your friends"),
        (friend('"224.0.0.1"'), 3, "is multicast: nobody comes from there"),
        (friend('"0.0.0.0"'), 3, "is the address of nobody"),
        (friend("[]"), 3, "anna needs an address"),
        (friend("7"), 3, "anna needs an address"),
        ('[[friend]]\nname = "anna"', 1, "anna needs an address"),
        ('[[friend]]\nip = "203.0.113.7"', 1, "each friend needs a name"),
        ('[[friend]]\nname = "a\\nb"\nip = "203.0.113.7"', 2, "each friend needs a name"),
        (friend('"203.0.113.7"') + "\nphone = 1", 4, "a friend has no phone"),
        (friend('"203.0.113.7"') + "\nnote = 1", 4, "must be text in quotes"),
        (friend('"203.0.113.7"') + "\n\n" + friend('"203.0.113.8"'), 5, "is here and on line 1"),
        ('[friend]\nname = "anna"', 1, "Write [[friend]]"),
        ('anna = "203.0.113.7"', 1, "anna is not a friend entry"),
        ("[[friend]]\nname = ", 2, "this is not TOML"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert words in str(caught.value)
    assert caught.value.line == line


def test_a_mistake_is_found_in_the_right_entry() -> None:
    text = friend('"203.0.113.7"') + '\n\n[[friend]]\nname = "ben"\nip = "203.0.113.999"'
    with pytest.raises(ConfigError, match=r"friends.toml:7: ben: "):
        parse(text, FILE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read this file"):
        load(tmp_path / "friends.toml")
