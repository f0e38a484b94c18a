"""Is there a way into the host, and what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say whether ssh gets in, as whom, and onto what."""
    place = case.target.place
    if place is None:
        return
    if error := case.no_login:
        yield trouble(f"the host cannot be looked at: {error.message}", cure=error.fix)
    elif system := case.told("system"):
        yield fine(
            f"ssh gets into {place.host.alias}",
            f"{system['os']}, Linux {system['kernel']}, Python {system['python']}, {system['init']}",
        )
        if (case.host or {}).get("uid") != 0:
            yield warning(
                "the host was looked at by an account that is not root, so much of it could not be seen",
                cure=f"invoke deploy{case.target.option} --become",
            )
