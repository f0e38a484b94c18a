"""What people are told to type is what RetroArch takes."""

from __future__ import annotations

from relay.switchboard.rooms import Mode
from toolkit.join import instructions


def test_the_host_player_gets_the_menu_path_and_the_keys_with_one_address() -> None:
    text = "\n".join(instructions.host_lines("relay.example.org", 55440))
    assert "Custom Relay Server Address   relay.example.org|55440" in text
    assert 'netplay_use_mitm_server = "true"' in text
    assert 'netplay_mitm_server = "custom"' in text
    assert 'netplay_custom_mitm_server = "relay.example.org|55440"' in text
    assert 'netplay_public_announce = "false"' in text


def test_friends_get_a_command_whose_bar_is_quoted_for_the_shell() -> None:
    assert "retroarch -C '203.0.113.7|55435'" in "\n".join(instructions.friend_lines("203.0.113.7", 55435))


def test_a_relay_known_by_ipv6_alone_is_told_to_be_no_good_for_a_host() -> None:
    assert "IPv4 only" in instructions.host_lines("2001:db8::1", 55435)[-1]
    assert not any("IPv4 only" in line for line in instructions.host_lines("203.0.113.7", 55435))


def test_who_hosts_is_told_as_the_port_is_played() -> None:
    titles = {
        mode: [lines[0].split()[0] for lines in instructions.type_lines("203.0.113.7", 55435, mode)] for mode in Mode
    }
    assert titles == {Mode.TUNNEL: ["The", "Each"], Mode.AUTO: ["The", "Each"], Mode.CORELESS: ["Everybody"]}
    told = {mode: "Nobody has to host" in str(instructions.type_lines("203.0.113.7", 55435, mode)) for mode in Mode}
    assert told == {Mode.TUNNEL: False, Mode.AUTO: True, Mode.CORELESS: False}
