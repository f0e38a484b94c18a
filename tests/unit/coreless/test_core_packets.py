"""Cores with packets of their own, which only a host passes on: gpSP in RetroArch 1.16 and newer."""

from __future__ import annotations

import pytest

from relay.coreless import CorelessSettings
from tests.support import netplay
from tests.support.coreless import Talk


@pytest.mark.parametrize("size", [0, 12, 1000, CorelessSettings().max_info_bytes + 1], ids="{} bytes".format)
@pytest.mark.parametrize("who", ["first", "second"])
def test_who_plays_with_such_a_core_reads_that_it_needs_a_host(who: str, size: int) -> None:
    talk = Talk()
    keys = dict(zip(("first", "second"), talk.two(), strict=True))
    talk.say(keys[who], netplay.netpacket(bytes(size)))
    assert talk.closed == {keys[who]: "needs-host"}
