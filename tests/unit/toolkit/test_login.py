"""Being root on the host: each way in which it is not to be had is a sentence with what to type."""

from __future__ import annotations

import ipaddress

import pytest

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.hosts import login
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.ssh import connection

HOST = parse_host("myvps")
LINK = connection.Connection("myvps")


def answers(uid: int = 1000, sudo: str = "yes", python: tuple[int, int] | None = (3, 11)) -> connection.Answers:
    return connection.Answers(
        uid, "root" if uid == 0 else "admin", "198.51.100.4", python, "root" if uid == 0 else sudo
    )


@pytest.mark.parametrize(
    ("entry", "found", "sentence", "fix"),
    [
        (Entry(HOST), answers(), "admin on myvps is not root", "invoke deploy --host myvps --become"),
        (Entry(HOST, None, True), answers(sudo="missing"), "there is no sudo there", "--user root"),
        (Entry(HOST, None, True), answers(sudo="password"), "asks admin for a password", "--ask-become"),
        (Entry(HOST, None, True), answers(sudo="password"), "asks admin for a password", "NOPASSWD"),
        (Entry(HOST, None, True), answers(sudo="wrong"), "did not take that password", "usermod -aG sudo admin"),
        (Entry(HOST), answers(uid=0, python=None), "has no Python at /usr/bin/python3", "install"),
    ],
)
def test_what_keeps_us_from_the_work_is_said(entry: Entry, found: connection.Answers, sentence: str, fix: str) -> None:
    with pytest.raises(UserError) as caught:
        login.check_root("myvps", entry, found)
    assert sentence in caught.value.message
    assert fix in caught.value.fix
    assert caught.value.exit_code == HOST_UNUSABLE


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (Entry(HOST), answers(uid=0)),
        (Entry(HOST, None, True), answers()),
        (Entry(HOST, None, True), answers(uid=0)),
    ],
)
def test_root_and_sudo_without_a_password_are_enough(entry: Entry, found: connection.Answers) -> None:
    login.check_root("myvps", entry, found)


def visit(came_from: str, *, jumps: bool = False) -> login.LoginFacts:
    return login.LoginFacts(LINK, "myvps", jumps, "root", came_from, become=False)


def test_both_of_our_addresses_are_friends_because_retroarch_hosts_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "other_address", lambda _link, family: {4: "198.51.100.4"}.get(family))
    assert visit("2001:db8::5").my_addresses() == ["2001:db8::5", "198.51.100.4"]
    assert visit("198.51.100.4").my_addresses() == ["198.51.100.4"]


@pytest.mark.parametrize("seen", [visit("127.0.0.1"), visit("::1"), visit("198.51.100.4", jumps=True), visit("")])
def test_an_address_that_is_not_ours_is_nobodys_friend(seen: login.LoginFacts) -> None:
    assert seen.my_addresses() == []
    assert seen.is_listed([ipaddress.ip_network("0.0.0.0/0")]) is None


def test_whether_we_are_a_friend_is_told_from_the_address_the_host_sees() -> None:
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [ipaddress.ip_network("198.51.100.0/24")]
    assert visit("::ffff:198.51.100.4").is_listed(networks) is True
    assert visit("192.0.2.1").is_listed(networks) is False
    assert visit("fe80::1%eth0").is_listed(networks) is False


@pytest.mark.parametrize(
    ("came_from", "shared"), [("192.0.2.1", True), ("::ffff:192.0.2.1", True), ("198.51.100.4", False), ("", False)]
)
def test_a_login_from_the_hosts_own_router_shares_its_address(came_from: str, shared: bool) -> None:
    seen = login.LoginFacts(LINK, "myvps", False, "root", came_from, become=False, gateways=("192.0.2.1", "fe80::1"))
    assert seen.shares_address is shared
