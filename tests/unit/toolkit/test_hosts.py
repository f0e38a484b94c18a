"""Host names are input: what could be an option, a shell's word or a path is refused with what to type instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BAD_INPUT, UserError
from toolkit.hosts.names import parse_host, parse_user


@pytest.mark.parametrize("name", ["myvps", "relay.example.org", "203.0.113.7", "a", "my_vps-2", "MyVPS"])
def test_an_ordinary_name_is_taken_as_it_is(name: str) -> None:
    assert parse_host(name).alias == name


def test_an_ipv6_address_gets_a_name_that_is_safe_as_a_file_name() -> None:
    host = parse_host("[2001:DB8::1]")
    assert (host.alias, host.slug) == ("2001:db8::1", "2001-db8--1")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-oProxyCommand=id",
        "--help",
        "x; id",
        "my vps",
        "$(id)",
        "`id`",
        "a|b",
        "a\nb",
        "../etc",
        "a/b",
        "ü",
        ".a",
    ],
)
def test_a_name_that_something_could_misread_is_refused(name: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_host(name)
    assert caught.value.exit_code == BAD_INPUT
    assert repr(name) in caught.value.message
    assert "invoke deploy --host" in caught.value.fix


def test_an_account_before_the_name_is_answered_with_the_option_for_it() -> None:
    with pytest.raises(UserError, match="the account is not part of it") as caught:
        parse_host("admin@myvps")
    assert "invoke deploy --host myvps --user admin" in caught.value.fix


def test_a_port_behind_the_name_is_answered_with_the_line_for_the_ssh_configuration() -> None:
    with pytest.raises(UserError) as caught:
        parse_host("myvps:2222")
    assert "Port 2222" in caught.value.fix


@given(st.text(max_size=40))
def test_whatever_is_let_through_is_harmless(name: str) -> None:
    try:
        host = parse_host(name)
    except UserError:
        return
    assert not host.alias.startswith("-")
    assert not set(host.alias) & set(" \t\n;|&$`'\"\\/<>(){}*?~#!@=,")
    assert host.slug
    assert not set(host.slug) & set(":/")
    assert host.slug not in {".", ".."}


@pytest.mark.parametrize("name", ["", "-l", "a b", "root;id", "$USER"])
def test_an_account_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="not the name of an account"):
        parse_user(name)
