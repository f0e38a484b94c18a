"""friends.toml with names and times: what it may say, where a mistake stands, and the same file for another machine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.gate.policy.friends import network, parse, pinned, refuse_expired
from relay.tomlfile import ConfigError
from tests.support.gate_memory import friend

FILE = Path("friends.toml")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_friend_may_have_a_name_in_dns_and_no_address() -> None:
    (anna,) = parse(friend("anna", 'dns = ["Anna.Example.ORG.", "anna.example.org"]'), FILE)
    assert anna.names == ("anna.example.org",)
    assert anna.addresses == ()
    assert anna.until is None


def test_all_of_it_at_once() -> None:
    text = friend("anna", 'ip = "203.0.113.7"', 'dns = "anna.example.org"', 'until = "2026-12-24 23:00Z"', 'note = "x"')
    (anna,) = parse(text, FILE)
    assert (anna.names, anna.until, anna.note) == (("anna.example.org",), 1798153200, "x")
    assert anna.lines == {"": 1, "name": 2, "ip": 3, "dns": 4, "until": 5, "note": 6}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('dns = "anna"', "is not a whole DNS name. Write all of it, like anna.example.org"),
        ('dns = "anna_.ex ample.org"', "is not a DNS name"),
        ('dns = "-anna.example.org"', "is not a DNS name"),
        ('dns = "203.0.113.7"', 'is an address. Write it as ip = "203.0.113.7"'),
        ('dns = "2001:db8::/32"', "is an address"),
        ('dns = ""', "is not a DNS name"),
        (f'dns = "{"a" * 64}.example.org"', "is not a DNS name"),
        ("dns = []", "anna needs a DNS name"),
        ("dns = 7", "anna needs a DNS name"),
        ('until = "12h"', "invoke friends.add NAME --for 12h"),
        ("until = 12", "must be a date and a time"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(friend("anna", 'ip = "203.0.113.7"', line), FILE)
    assert words in str(caught.value)
    assert caught.value.line == 4


def test_names_in_other_scripts_are_what_dns_knows() -> None:
    (anna,) = parse(friend("anna", 'dns = "münchen.example"'), FILE)
    assert anna.names == ("xn--mnchen-3ya.example",)


def test_a_name_that_would_break_a_line_is_refused() -> None:
    for evil in ("a\\u2028b", "a\\u0085b", "a\\nb"):
        with pytest.raises(ConfigError, match="each friend needs a name"):
            parse(f'[[friend]]\nname = "{evil}"\nip = "203.0.113.7"\n', FILE)


def test_an_entry_that_is_over_is_refused_with_its_line_when_it_is_pushed() -> None:
    friends = parse(
        friend("ben", 'ip = "1.2.3.4"') + friend("anna", 'ip = "1.2.3.5"', "until = 2026-12-24T23:00:00Z"), FILE
    )
    refuse_expired(friends, 1798153199, FILE)
    with pytest.raises(ConfigError, match=r"friends.toml:7: anna's entry ended on") as caught:
        refuse_expired(friends, 1798153200, FILE)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("11.0.0.0/8", "lets in 16,777,216 addresses"),
        ("11.16.0.0/12", "lets in 1,048,576 addresses"),
        ("0.0.0.0/0", "lets in 4,294,967,296 addresses"),
        ("2000::/16", "lets in 281,474,976,710,656 households"),
        ("2001:db8::/32", "lets in 4,294,967,296 households"),
        ("2001:db8::/44", "lets in 1,048,576 households"),
        ("::/0", "households"),
        ("127.0.0.1", "is loopback"),
        ("127.1.2.0/24", "is loopback"),
        ("::1", "is loopback"),
        ("::7", "is the address of nobody"),
        ("::ffff:127.0.0.1", "is loopback"),
        ("0.0.0.0", "is the address of nobody"),  # noqa: S104 - refused, not bound to
        ("0.1.2.3", "is the address of nobody"),
        ("::", "is the address of nobody"),
        ("169.254.3.4", "is link-local"),
        ("169.252.0.0/14", "is link-local"),
        ("fe80::1", "is link-local"),
        ("fe80::1%eth0", "is link-local"),
        ("fe80::/64", "is link-local"),
        ("224.0.0.251", "is multicast"),
        ("ff02::1", "is multicast"),
        ("255.255.255.255", "is broadcast"),
        ("240.0.0.1", "is reserved"),
        ("203.0.113.7%eth0", "is not an IP address"),
        ("203.0.113.7/24", "is an address inside a prefix"),
    ],
)
def test_what_no_friend_can_come_from_is_refused(value: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        network(value)
    assert f'"{value}"' in str(caught.value)
    assert ". Write " in str(caught.value)
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse(friend("anna", f'ip = ["203.0.113.7", "{value}"]'), FILE)


@pytest.mark.parametrize(
    ("value", "stands_for"),
    [
        ("11.16.0.0/13", "11.16.0.0/13"),
        ("192.168.1.20", "192.168.1.20/32"),
        ("2001:db8::7", "2001:db8::/64"),
        ("2001:db8::7%eth0", "2001:db8::/64"),
        ("2001:db8::/45", "2001:db8::/45"),
        ("2001:db8::7/128", "2001:db8::7/128"),
        ("fd00::7", "fd00::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ],
)
def test_what_an_address_stands_for(value: str, stands_for: str) -> None:
    assert str(network(value)) == stands_for


@pytest.mark.usefixtures("berlin")
def test_a_file_for_another_machine_says_the_same_line_for_line() -> None:
    text = (
        "# my friends\n"
        + friend("anna", 'ip = "203.0.113.7"', 'until = "2026-12-24 23:00"  # Christmas', 'note = "until = 12h"')
        + friend("ben", 'ip = "203.0.113.8"', "until = 2026-07-01T10:00:00 # summer")
        + friend("cleo", 'ip = "203.0.113.9"', "until= '2026-12-24 23:00Z'")
        + friend("dora", 'dns = "dora.example.org"')
    )
    for_host = pinned(text, FILE)
    assert for_host.splitlines()[4] == 'until = "2026-12-24 23:00:00+01:00"  # Christmas'
    assert for_host.splitlines()[9] == 'until = "2026-07-01 10:00:00+02:00" # summer'
    assert [friend.until for friend in parse(for_host, FILE)] == [friend.until for friend in parse(text, FILE)]
    assert [friend.lines for friend in parse(for_host, FILE)] == [friend.lines for friend in parse(text, FILE)]
    assert pinned(for_host, FILE) == for_host


def test_a_time_that_cannot_be_pinned_is_named() -> None:
    with pytest.raises(ConfigError, match='Write until = "2026-12-24'):
        pinned('friend = [{name = "anna", ip = "1.2.3.4", until = "2026-12-24 12:00"}]\n', FILE)


def test_a_long_list_is_read_in_time_that_grows_with_its_length() -> None:
    text = "".join(friend(f"f{number}", f'ip = "10.{number // 256}.{number % 256}.1"') for number in range(4000))
    start = time.process_time()
    assert len(parse(text, FILE)) == 4000
    assert time.process_time() - start < 20


@pytest.mark.parametrize("quotes", ['"""', "'''"])
@pytest.mark.parametrize(
    "inner",
    [
        'until = "2030-01-01 00:00"',
        "[[friend]]\nname = 'nobody'\nuntil = 2030-01-01",
        "[other]",
        '# "\nuntil = 1',
        "a\u2028until = 2030-01-01\n",
    ],
)
def test_a_note_over_several_lines_does_not_pass_for_keys(quotes: str, inner: str) -> None:
    note = f"note = {quotes}\n{inner}\n{quotes} # until = 'never'\n"
    entry = f'[[friend]]\nname = "anna" # """\nip = "203.0.113.7"\n{note}until = "2026-12-24 12:00"\r\n'
    second = '[[friend]]\nname = "ben"\nip = "203.0.113.8"\nuntil = "2027-01-02 03:04"\n'
    text = entry + second
    found = parse(text, FILE)
    for_host = pinned(text, FILE)
    assert [text.split("\n")[friend.lines["until"] - 1].partition(" ")[0] for friend in found] == ["until"] * 2
    assert note in for_host
    assert [friend.until for friend in parse(for_host, FILE)] == [friend.until for friend in found]
    assert pinned(for_host, FILE) == for_host


def test_a_time_in_triple_quotes_is_named_instead_of_broken() -> None:
    with pytest.raises(ConfigError, match="cannot be read by another machine") as caught:
        pinned('[[friend]]\nname = "anna"\nip = "1.2.3.4"\nuntil = """2026-12-24 12:00"""\n', FILE)
    assert caught.value.line == 4
