"""relay.toml: what it may say, and a sentence with file and line for everything it may not.

`load` never returns a half-valid configuration: the first mistake raises ConfigError. relay/relay.toml is the
annotated example; a test holds that it documents every setting with its real default.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay import limits
from relay.coreless import DEVICES
from relay.limits import Buffers, Limits, Timeouts
from relay.netplay import wire
from relay.protocol import tunnel
from relay.switchboard.rooms import Mode
from relay.tomlfile import ConfigError, locate, read, read_toml

LOG_LEVELS = ("debug", "info", "warning", "error")
ADDRESS_STYLES = ("full", "blurred")
LOG_FORMATS = ("text", "json")
GATE_BACKENDS = ("auto", "nftables", "iptables")

# Names people bring from elsewhere or from an older relay.toml; silence would hide that a setting has no effect.
RENAMED = {
    "listen.address": "listen.bind",
    "listen.host": "listen.bind",
    "server.port": "listen.port",
    "server.timeout": "timeouts.link",
    "session.max": "limits.sessions",
    "session.clients": "limits.clients_per_session",
    "limits.rooms": "limits.sessions",
    "log.path": "nothing: the service manager keeps the log (journalctl -u netplay-relay)",
}


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the relay listens when no socket is handed to it by the service manager.

    max_segment is the size (bytes) of the largest TCP segment that players and the relay send each other; 0: what the
    kernels agree on.
    """

    port: int = tunnel.DEFAULT_PORT
    bind: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - a relay's purpose; the gate decides who gets in
    max_segment: int = limits.MAX_SEGMENT


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may connect: the packet filter in front of the relay, and the allowlist file checked at accept behind it."""

    allowlist: Path | None = None
    link_from_host_address: bool = False
    backend: str = "auto"
    private_names: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """What the relay writes to standard error."""

    level: str = "info"
    format: str = "text"
    addresses: str = "full"


@dataclass(frozen=True, slots=True)
class Control:
    """Where `netplay-relay status` and `upgrade` find the relay; None means the service manager's runtime directory."""

    socket: Path | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """What the relay may look at on running links, for status and metrics: names means nicks."""

    links: bool = True
    names: bool = True


@dataclass(frozen=True, slots=True)
class Lan:
    """Whether RetroArch's LAN discovery (UDP port 55435) is answered for rooms that are hosted."""

    answer: bool = False


@dataclass(frozen=True, slots=True)
class Coreless:
    """What is played at the main port, and in rooms that do not say it themselves.

    devices are libretro's types of the devices in the 16 ports of a core that runs without a host.
    """

    mode: Mode = Mode.AUTO
    devices: tuple[int, ...] = DEVICES


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """A room people can remember: id (16 characters of base64) and, if it has one, a port of its own.

    mode is what is played at that port, devices what is plugged in where nobody hosts; None, or none: what [coreless]
    says.
    """

    id: str
    port: int | None = None
    mode: Mode | None = None
    devices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """A whole relay.toml. Config() is what an empty file means."""

    listen: Listen = field(default_factory=Listen)
    gate: Gate = field(default_factory=Gate)
    control: Control = field(default_factory=Control)
    lan: Lan = field(default_factory=Lan)
    watch: Watch = field(default_factory=Watch)
    coreless: Coreless = field(default_factory=Coreless)
    log: Log = field(default_factory=Log)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    buffers: Buffers = field(default_factory=Buffers)
    rooms: tuple[RoomConfig, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Every TCP port the relay serves, the main one first."""
        return (self.listen.port, *(room.port for room in self.rooms if room.port is not None))

    def mode_of(self, room: RoomConfig) -> Mode:
        """Return what is played in a room."""
        return room.mode or self.coreless.mode


TABLES: dict[str, type] = {
    "listen": Listen,
    "gate": Gate,
    "control": Control,
    "lan": Lan,
    "watch": Watch,
    "coreless": Coreless,
    "log": Log,
    "limits": Limits,
    "timeouts": Timeouts,
    "buffers": Buffers,
}
PATHS = ("gate.allowlist", "control.socket")
MODES = tuple(mode.value for mode in Mode)
CHOICES = {
    "coreless.mode": MODES,
    "gate.backend": GATE_BACKENDS,
    "log.level": LOG_LEVELS,
    "log.format": LOG_FORMATS,
    "log.addresses": ADDRESS_STYLES,
}


def load(path: Path) -> Config:
    """Read and check relay.toml. Raises ConfigError, also for a file that cannot be read."""
    return parse(read(path), path)


def parse(text: str, path: Path) -> Config:
    """Check the text of a relay.toml; path is only named in errors. Raises ConfigError."""
    return _Reader(text, path).config()


class _Reader:
    """One pass over one file: knows where everything stands, so that errors can say it."""

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self.path = path

    def error(self, table: str, key: str | None, message: str, fix: str = "", entry: int = 0) -> ConfigError:
        line = locate(self.text, table, key, entry) or locate(self.text, table, None, entry)
        return ConfigError(self.path, line, message, fix)

    def config(self) -> Config:
        data = read_toml(self.text, self.path)
        values: dict[str, Any] = {}
        for name, content in data.items():
            if name == "room":
                values["rooms"] = self.rooms(content)
            elif name in TABLES and isinstance(content, dict):
                values[name] = self.table(name, content)
            else:
                raise self.unknown_table(name, content)
        config = Config(**values)
        self.check_ports(config)
        return config

    def unknown_table(self, name: str, content: object) -> ConfigError:
        if isinstance(content, dict):
            for key in content:
                if new := RENAMED.get(f"{name}.{key}".lower()):
                    return self.error(name, key, f"[{name}] {key} is now called {new}.", _renamed_fix(new))
            near = difflib.get_close_matches(name, [*TABLES, "room"], 1)
            hint = f"Did you mean [{near[0]}]?" if near else "Tables are: " + ", ".join([*TABLES, "[[room]]"]) + "."
            return self.error(name, None, f"there is no table [{name}].", hint)
        if name in TABLES:
            return self.error("", name, f"{name} is a table.", f"Write [{name}] on a line of its own.")
        owners = [table for table, kind in TABLES.items() if name in _names(kind)]
        hint = f"It belongs under [{owners[0]}]." if owners else "Settings stand under a [table]."
        return self.error("", name, f"{name} is outside every table.", hint)

    def table(self, name: str, content: dict[str, Any]) -> Any:
        kind = TABLES[name]
        values = {}
        for key, value in content.items():
            if key not in _names(kind):
                raise self.unknown_key(name, key, _names(kind))
            values[key] = self.value(name, key, value, getattr(kind(), key))
        return kind(**values)

    def unknown_key(self, table: str, key: str, known: list[str], entry: int = 0) -> ConfigError:
        if new := RENAMED.get(f"{table}.{key}".lower()):
            return self.error(table, key, f"[{table}] {key} is now called {new}.", _renamed_fix(new), entry)
        near = difflib.get_close_matches(key, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"[{table}] knows: {', '.join(known)}."
        return self.error(table, key, f"[{table}] has no setting {key}.", hint, entry)

    def value(self, table: str, key: str, value: Any, default: Any) -> Any:
        name = f"{table}.{key}"
        if name == "listen.bind":
            return self.addresses(value)
        if name == "coreless.devices":
            return self.devices(table, value)
        if name == "listen.port":
            return self.port(table, key, value)
        if name == "listen.max_segment":
            least, most = limits.SEGMENTS
            good = type(value) is int and (value == 0 or least <= value <= most)
            self.expect(table, key, good, f"0, or from {least} to {most} bytes", value)
            return value
        if name in PATHS:
            return self.absolute_path(table, key, value)
        if isinstance(default, bool):
            self.expect(table, key, isinstance(value, bool), "true or false", value)
            return value
        if isinstance(default, (int, float)):
            return self.number(table, key, value, default)
        return self.choice(table, key, value, CHOICES[name], default)

    def choice(self, table: str, key: str, value: Any, choices: tuple[str, ...], like: Any, entry: int = 0) -> Any:
        wanted = "one of " + ", ".join(f'"{choice}"' for choice in choices)
        self.expect(table, key, value in choices, wanted, value, entry)
        return type(like)(value)

    def expect(self, table: str, key: str, good: bool, wanted: str, value: object, entry: int = 0) -> None:
        if not good:
            raise self.error(table, key, f"{key} must be {wanted}, not {_shown(value)}.", entry=entry)

    def number(self, table: str, key: str, value: Any, default: float) -> float:
        whole = isinstance(default, int)
        kinds = (int,) if whole else (int, float)
        wanted = "a whole number above 0" if whole else "a number of seconds above 0"
        good = isinstance(value, kinds) and not isinstance(value, bool) and 0 < value < 2**31
        self.expect(table, key, good, wanted, value)
        return value if whole else float(value)

    def port(self, table: str, key: str, value: Any, entry: int = 0) -> int:
        good = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
        self.expect(table, key, good, "a port from 1 to 65535", value, entry)
        return int(value)

    def addresses(self, value: Any) -> tuple[str, ...]:
        entries = [value] if isinstance(value, str) else value
        good = isinstance(entries, list) and entries and all(_is_address(entry) for entry in entries)
        self.expect("listen", "bind", bool(good), 'addresses to listen on, like ["0.0.0.0", "::"]', value)
        found = tuple(dict.fromkeys(normal_address(entry) for entry in entries))
        if twice := covered(found):
            raise self.error("listen", "bind", twice, "Leave one of them out.")
        return found

    def devices(self, table: str, value: Any, entry: int = 0) -> tuple[int, ...]:
        good = isinstance(value, list) and 0 < len(value) <= len(DEVICES) and all(_is_device(each) for each in value)
        wanted = "up to 16 of libretro's types of devices, like [1, 1, 257, 257]"
        self.expect(table, "devices", good, wanted, value, entry)
        return (*value, *DEVICES[len(value) :])

    def absolute_path(self, table: str, key: str, value: Any) -> Path:
        good = isinstance(value, str) and value.startswith("/") and "\0" not in value
        self.expect(table, key, good, "the absolute path of a file", value)
        return Path(value)

    def rooms(self, content: Any) -> tuple[RoomConfig, ...]:
        if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
            raise self.error("room", None, "rooms are a list.", 'Write [[room]] and below it id = "FridayNightRoom1"')
        rooms = [self.room(entry, number) for number, entry in enumerate(content)]
        for number, room in enumerate(rooms):
            if room.id in [other.id for other in rooms[:number]]:
                # Shortened, here and below: these sentences end in the log too.
                same = f"two rooms have the id {tunnel.session_hint(room.id)}"
                raise self.error("room", "id", same, "Each needs its own.", number)
        return tuple(rooms)

    def room(self, entry: dict[str, Any], number: int) -> RoomConfig:
        for key in entry:
            if key not in _names(RoomConfig):
                raise self.unknown_key("room", key, _names(RoomConfig), number)
        text = entry.get("id")
        if not isinstance(text, str) or not tunnel.is_session_text(text):
            given = "nothing" if text is None else "something that is not text"
            if isinstance(text, str):
                given = f'"{tunnel.session_hint(text)}" ({len(text)} characters)'
            message = f"a room's id is 16 characters out of A-Z a-z 0-9 + /, not {given}."
            raise self.error("room", "id", message, 'For example: id = "FridayNightRoom1"', number)
        port = self.port("room", "port", entry["port"], number) if "port" in entry else None
        for key in {"mode", "devices"} & entry.keys() if port is None else ():
            message = f"a room has a {key} of its own only with a port of its own."
            raise self.error("room", key, message, f"Add port = ..., or set {key} under [coreless].", number)
        mode = None
        if "mode" in entry:
            mode = self.choice("room", "mode", entry["mode"], MODES, Mode.AUTO, number)
        devices = self.devices("room", entry["devices"], number) if "devices" in entry else ()
        return RoomConfig(text, port, mode, devices)

    def check_ports(self, config: Config) -> None:
        seen = {config.listen.port}
        for number, room in enumerate(config.rooms):
            if room.port in seen:
                message = f"port {room.port} is already taken in this file."
                raise self.error("room", "port", message, "Give each room a port of its own.", number)
            if room.port is not None:
                seen.add(room.port)


def _names(kind: type) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


def _renamed_fix(new: str) -> str:
    table, dot, key = new.partition(".")
    return f"Write {key} under [{table}]." if dot and " " not in new else "Remove the line."


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def normal_address(text: str) -> str:
    """Return an address to listen on in its one usual form. Raises ValueError for anything else.

    A zone (fe80::1%eth0) is refused, for it means nothing to players elsewhere, and so is IPv4 in IPv6 form.
    """
    address = ipaddress.ip_address(text)
    if "%" in text or getattr(address, "ipv4_mapped", None):
        raise ValueError(f"not an address to listen on: {text}")
    return str(address)


def covered(addresses: tuple[str, ...]) -> str:
    """Return which of some addresses to listen on covers another, as a sentence; "" where none does."""
    for every in ("0.0.0.0", "::"):  # noqa: S104 - a relay's purpose; the gate decides who gets in
        others = [address for address in addresses if address != every and (":" in address) == (":" in every)]
        if every in addresses and others:
            return f"{every} covers {others[0]} already."
    return ""


def _is_device(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**16 and value & 0xFF in wire.WORDS


def _is_address(value: object) -> bool:
    try:
        normal_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True
