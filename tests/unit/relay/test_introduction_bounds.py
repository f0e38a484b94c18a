"""What an introduction does not wait for: a command that is too large for any handshake."""

from __future__ import annotations

import pytest

from relay.netplay.legacy_handshake import MOST_BODY, Way
from tests.support import netplay


@pytest.mark.parametrize(("size", "waits"), [(MOST_BODY, True), (MOST_BODY + 1, False)])
def test_the_beginning_of_a_command_that_is_none_of_the_handshakes_is_passed_on_at_once(size: int, waits: bool) -> None:
    way = Way(to_old=False, header=False)
    beginning = netplay.words(0x20, size) + b"anna"
    assert way.feed(beginning) == (b"" if waits else beginning)
    assert way.done is not waits
