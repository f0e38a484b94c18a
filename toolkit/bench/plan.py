"""What one run of the benchmark measures, and whether that makes sense. Raises UserError before anything is started."""

from __future__ import annotations

import dataclasses
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay import config as settings
from relay.tomlfile import ConfigError
from toolkit.errors import UserError
from toolkit.friends.parse import as_user_error

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTS: Final = ("load", "bulk", "ramp", "stall", "coreless")
"""load: CPU, latency, memory and set-up at a number of sessions. bulk: savestates on one link. ramp: how many sessions
one core carries. stall: a reader that stops reading. coreless: core-less sessions."""

RELAY: Final = "netplay-relay"
HAPROXY: Final = "haproxy"
REFERENCE: Final = "C epoll"
LOOPBACK: Final = "no relay"
FLOOR: Final = "bare Python"
BEFORE: Final = "before"

# A session is three connections of ours and as many of the driver's; the rest is for everything else.
FDS_PER_SESSION = 3
SPARE_FDS = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: sessions at once, rounds, seconds of load in each, and how long the other parts last (seconds).

    configs are relay.toml files, each a contender of its own; without one the relay runs with its defaults.
    ramp_top bounds the ramp (sessions); retries is how often a disturbed measurement is repeated.
    floor: a relay in Python without any feature is measured in the load part, too. before: another checkout, whose
    relay is measured in the load and bulk parts, too; "" for none.
    """

    sessions: int = 250
    runs: int = 5
    seconds: float = 3.0
    bulk_seconds: float = 0.8
    ramp_seconds: float = 1.5
    stall_seconds: float = 2.0
    ramp_top: int = 3000
    retries: int = 2
    parts: tuple[str, ...] = PARTS
    configs: tuple[str, ...] = ()
    python: str = ""
    quick: bool = False
    floor: bool = False
    before: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name, value in (("sessions", self.sessions), ("runs", self.runs), ("seconds", self.seconds)):
            if value <= 0:
                raise UserError(f"--{name} must be above 0, not {value:g}", fix="invoke bench --help")
        most = most_sessions()
        if self.sessions > most:
            raise UserError(
                f"--sessions {self.sessions}: this machine's limit of open files allows {most}",
                fix=f"invoke bench --sessions {most}   (or raise the limit: ulimit -Hn)",
            )

    @property
    def ours(self) -> tuple[str, ...]:
        """The names under which this relay appears: one for each configuration."""
        return tuple(config_name(path, self.configs) for path in self.configs) or (RELAY,)


def most_sessions() -> int:
    """Return how many sessions the limit of open files allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 100_000 if hard == resource.RLIM_INFINITY else (hard - SPARE_FDS) // FDS_PER_SESSION


def config_name(path: str, configs: tuple[str, ...]) -> str:
    """Return how the relay with this configuration is called in tables: by its file, if there are several."""
    return f"{RELAY} {Path(path).stem}" if len(configs) > 1 else RELAY


def parse_parts(only: Iterable[str]) -> tuple[str, ...]:
    """Return the parts named on the command line, in the order they run in; all without a name. Raises UserError."""
    wanted = [name.strip() for text in only for name in text.split(",")]
    for name in wanted:
        if name not in PARTS:
            raise UserError(f"--only {name!r}: there is no such part", fix=f"The parts are: {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in wanted) or PARTS


def check_configs(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the absolute paths of configurations the relay accepts. Raises UserError with the relay's own sentence."""
    checked: list[str] = []
    for path in paths:
        try:
            settings.load(Path(path))
        except ConfigError as error:
            raise as_user_error(error) from error
        absolute = str(Path(path).resolve())
        if Path(absolute).stem in [Path(other).stem for other in checked]:
            raise UserError(f"--config {path}: another one has the same name", fix="Rename one: tables show the name.")
        checked.append(absolute)
    return tuple(checked)


def check_before(path: str) -> str:
    """Return the absolute path of another checkout with a relay; "" for none. Raises UserError."""
    if path and not (Path(path) / "relay" / "__main__.py").is_file():
        raise UserError(
            f"--before {path}: there is no relay/__main__.py",
            fix="Name a checkout: git worktree add ../before COMMIT, then: invoke bench --before ../before",
        )
    return str(Path(path).resolve()) if path else ""


def quick(plan: Plan) -> Plan:
    """Return a plan that only shows that every part works: nothing it measures means anything."""
    return dataclasses.replace(
        plan,
        sessions=min(plan.sessions, 30),
        runs=1,
        seconds=0.5,
        bulk_seconds=0.2,
        ramp_seconds=0.3,
        stall_seconds=0.5,
        ramp_top=60,
        retries=0,
        quick=True,
    )


def from_json(data: dict[str, Any]) -> Plan:
    """Return the plan behind dataclasses.asdict and JSON, in which tuples are lists."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return Plan(**fields)
