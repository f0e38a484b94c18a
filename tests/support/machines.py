"""A person's machine out of files: a home, a PATH, a RetroArch that says its version, cores with descriptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from toolkit.play.found import Machine

NESTOPIA = (
    'display_name = "NES (Nestopia)"\ncorename = "Nestopia"\nsystemname = "NES"\nsupported_extensions = "nes|fds"\n'
)
GOOD = 'savestate = "true"\nsavestate_features = "deterministic"\n'
SERIALIZED = 'savestate = "true"\nsavestate_features = "serialized"\n'


@dataclass
class FakeMachine:
    """A machine below a folder; ``machine`` is what toolkit.play looks at."""

    folder: Path
    version: str = "1.14.0"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        self.bin.mkdir()
        self.environment.setdefault("PATH", str(self.bin))

    @property
    def home(self) -> Path:
        """The person's home."""
        return self.folder / "home"

    @property
    def bin(self) -> Path:
        """The only folder on their PATH."""
        return self.folder / "bin"

    @property
    def data(self) -> Path:
        """Return where the distribution's RetroArch keeps its data."""
        return self.home / ".config" / "retroarch"

    @property
    def machine(self) -> Machine:
        """What toolkit.play looks at."""
        return Machine(self.home, self.environment, self.folder)

    def program(self, path: Path, says: str | None = None) -> Path:
        """Make a program that says a version, as RetroArch does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        says = f"RetroArch: Frontend for libretro -- v{self.version} -- b2ceb50 --" if says is None else says
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        return path

    def retroarch(self, *, started: bool = True) -> Path:
        """Install the distribution's RetroArch; once started, the person has settings of their own."""
        if started:
            self.data.mkdir(parents=True)
            (self.data / "retroarch.cfg").write_text('netplay_nickname = "me"\n')
        return self.program(self.bin / "retroarch")

    def core(self, name: str, text: str | None = NESTOPIA + GOOD, folder: Path | None = None) -> Path:
        """Install a core with this description; None for none."""
        folder = folder or self.data / "cores"
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / f"{name}_libretro.info").write_text(text)
        path = folder / f"{name}_libretro.so"
        path.write_bytes(b"\x7fELF")
        return path

    def game(self, name: str = "game.nes", data: bytes = b"NES\x1a game") -> Path:
        """Write a game file."""
        path = self.home / name
        path.write_bytes(data)
        return path
