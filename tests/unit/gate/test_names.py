"""Friends by DNS name: which answers are believed, and look-ups that hang, fail or come too often."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.addresses import Address
from relay.gate import resolver as names
from relay.gate.resolver import Lookups, believed, record
from relay.gate.state import Name
from tests.support.waiting import wait_for


def addresses(*texts: str) -> list[Address]:
    return [ipaddress.ip_address(text) for text in texts]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the host's resolver know every name but those it is told to look for in nobody's zone; give what it was."""
    asked: list[str] = []

    def getaddrinfo(name: str, *_: object, **_more: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(name)
        if name.endswith("."):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(2, 1, 6, "", ("5.6.7.66", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_is_never_completed_by_the_hosts_search_list(resolver: list[str], tmp_path: Path) -> None:
    """A name that has lapsed would be looked for in the hoster's own zone, and a stranger's machine be believed."""
    with pytest.raises(socket.gaierror):
        names.look_up("anna.example.org", tmp_path / "none")
    assert resolver == ["anna.example.org."]


HOSTS = """\
127.0.0.1 localhost
5.6.7.8\tAnna.example.org anna # by hand
2600:1:2:3::1 other.example.org anna.example.org.
# 5.6.7.9 anna.example.org
nonsense anna.example.org
5.6.7.10 anna.example.org.hoster.example
"""


def test_a_name_in_the_hosts_own_file_is_what_stands_there(resolver: list[str], tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    assert names.look_up("anna.example.org", hosts) == addresses("5.6.7.8", "2600:1:2:3::1")
    assert resolver == []
    with pytest.raises(socket.gaierror):
        names.look_up("ben.example.org", hosts)


def test_what_the_resolver_answers_is_taken_without_its_interface(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = [(10, 1, 6, "", ("2600:1::1%eth0", 0, 0, 0)), (2, 1, 6, "", ("5.6.7.8", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert names.look_up("anna.example.org", tmp_path / "none") == addresses("2600:1::1", "5.6.7.8")


def test_both_families_are_taken_ipv6_as_its_household() -> None:
    networks, complaint = believed(
        addresses("5.6.7.8", "2600:1:2:3:aaaa::1", "2600:1:2:3::2", "::ffff:5.6.7.8"), private=False
    )
    assert [str(network) for network in networks] == ["5.6.7.8/32", "2600:1:2:3::/64"]
    assert complaint == ""


NOBODYS = "127.0.0.1 ::1 0.0.0.0 :: 169.254.1.1 fe80::1 224.0.0.1 ff02::1 255.255.255.255 240.0.0.1"


@pytest.mark.parametrize("answer", NOBODYS.split())
@pytest.mark.parametrize("private", [False, True])
def test_what_is_nobodys_address_is_refused(answer: str, private: bool) -> None:
    networks, complaint = believed(addresses(answer), private=private)
    assert networks == []
    assert complaint == f"{answer} is not an address that a friend can connect from"


@pytest.mark.parametrize("answer", ["10.1.2.3", "192.168.1.5", "172.16.0.1", "fd00::1", "100.64.0.1"])
def test_a_private_answer_is_believed_only_where_the_owner_says_so(answer: str) -> None:
    assert believed(addresses(answer), private=False)[0] == []
    assert len(believed(addresses(answer), private=True)[0]) == 1


def test_one_bad_answer_does_not_spoil_a_good_one() -> None:
    networks, complaint = believed(addresses("5.6.7.8", "10.0.0.1"), private=False)
    assert [str(network) for network in networks] == ["5.6.7.8/32"]
    assert "10.0.0.1" in complaint


def test_too_many_answers_are_no_person() -> None:
    many = addresses(*(f"5.6.7.{number}" for number in range(names.MOST_ADDRESSES + 1)))
    assert believed(many[:-1], private=False)[1] == ""
    assert believed(many, private=False) == ([], "it has 17 addresses, and a friend's machine does not have so many")


def test_the_last_good_answer_stays_when_a_look_up_fails() -> None:
    known: dict[str, Name] = {}
    assert record(known, "anna.example.org", addresses("5.6.7.8"), 100, private=False)
    assert not record(known, "anna.example.org", "Temporary failure in name resolution", 200, private=False)
    entry = known["anna.example.org"]
    assert (entry.addresses, entry.at) == (["5.6.7.8/32"], 100)
    assert (entry.error, entry.error_at) == ("Temporary failure in name resolution", 200)
    assert not record(known, "anna.example.org", addresses("10.0.0.1"), 300, private=False)
    assert names.answers(known) == {"anna.example.org": [ipaddress.ip_network("5.6.7.8/32")]}
    assert not record(known, "anna.example.org", [], 350, private=False)
    assert entry.error == "it has no address"
    assert record(known, "anna.example.org", addresses("5.6.7.9"), 400, private=False)
    assert entry.error == ""


@pytest.mark.parametrize(
    ("entry", "due"),
    [(None, True), (Name(at=50), False), (Name(at=10, error_at=50), False), (Name(at=1), True), (Name(at=500), True)],
)
def test_a_name_is_not_asked_again_within_a_minute(entry: Name | None, due: bool) -> None:
    assert names.is_due(entry, 100) == due


def test_a_resolver_that_hangs_holds_up_nothing_but_its_name() -> None:
    hang = threading.Event()

    def lookup(name: str) -> Sequence[Address]:
        if name == "slow.example.org":
            hang.wait(20)
        if name == "gone.example.org":
            raise OSError(-2, "Name or service not known")
        return addresses("5.6.7.8")

    lookups = Lookups(lookup)
    start = time.monotonic()
    found = lookups.ask_all(["slow.example.org", "fast.example.org", "gone.example.org"], 0.5)
    assert time.monotonic() - start < 10
    assert found == {
        "slow.example.org": "no answer within 0.5 s",
        "fast.example.org": addresses("5.6.7.8"),
        "gone.example.org": "Name or service not known",
    }
    assert not lookups.ask("slow.example.org", time.monotonic() + 1000), "it is still under way"
    hang.set()
    assert wait_for(lookups.results, 10, "the late answer") == {"slow.example.org": addresses("5.6.7.8")}


def test_a_name_is_asked_by_the_agent_once_a_minute_and_a_little_later() -> None:
    asked: list[str] = []
    lookups = Lookups(lambda name: asked.append(name) or [])  # type: ignore[func-returns-value]
    assert lookups.ask("anna.example.org", 0)
    wait_for(lookups.results, 10, "the answer")
    assert not lookups.ask("anna.example.org", names.MOST_OFTEN - 0.1)
    assert lookups.ask("anna.example.org", names.MOST_OFTEN + names.JITTER)
    wait_for(lookups.results, 10, "the answer")
    assert asked == ["anna.example.org"] * 2


def test_many_names_share_a_few_threads() -> None:
    before = threading.active_count()
    lookups = Lookups(lambda _: addresses("5.6.7.8"))
    found = lookups.ask_all([f"f{number}.example.org" for number in range(100)], 20)
    assert len(found) == 100
    assert threading.active_count() - before <= names.THREADS
