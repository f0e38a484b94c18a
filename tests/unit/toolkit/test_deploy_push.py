"""What a deployment says when its list of friends comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolkit.deploy import run
from toolkit.errors import DEPLOY_FAILED, ROLLED_BACK, UserError

if TYPE_CHECKING:
    from toolkit.friends.push import FriendsPush


class Refused:
    """A list whose push ends with an error."""

    def __init__(self, code: int) -> None:
        self.error = UserError("it was taken back", fix="look", exit_code=code)

    def push(self, _: object, *, survey: bool) -> int:
        assert survey
        raise self.error


def pushed(outgoing: Refused, changed: int) -> UserError:
    made: FriendsPush = outgoing  # type: ignore[assignment]
    with pytest.raises(UserError) as caught:
        run._push(None, made, changed)  # type: ignore[arg-type]
    return caught.value


def test_what_does_not_come_back_with_the_list_is_said() -> None:
    error = pushed(Refused(ROLLED_BACK), changed=3)
    assert (error.exit_code, error.fix) == (ROLLED_BACK, "look")
    assert error.message.startswith("it was taken back. That is friends.toml and the rules.")
    assert error.message.endswith("The release and relay.toml, which this run put there first, stay")


@pytest.mark.parametrize(("code", "changed"), [(ROLLED_BACK, 0), (DEPLOY_FAILED, 3)])
def test_nothing_is_added_where_nothing_else_changed_or_nothing_came_back(code: int, changed: int) -> None:
    assert pushed(Refused(code), changed).message == "it was taken back"
