"""What one program hands to the next, without the exec between them: every kind of connection goes on where it was."""

from __future__ import annotations

from base64 import b64decode

from relay.states import State
from tests.support.every_state import assert_all_go_on, everything, handed_over, leave, taken_over


async def test_connections_in_every_state_go_on() -> None:
    async with everything() as (before, ends):
        there = before.server.board.live()
        assert {conn.state for conn in there} == set(State) - {State.CLOSED}
        assert any(conn.introduction for conn in there)
        assert len(before.server._farewells) == 1
        state = handed_over(before)
        leave(before, state)
        async with taken_over(state, before.clock.now) as relay:
            await assert_all_go_on(relay, ends, b64decode(state["board"]["kept"][0][1]))
            ends.close()
