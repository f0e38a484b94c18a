"""Where a RetroArch keeps its cores, their .info files and its firmware: what its settings say, else its own custom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import paths
from toolkit.play import settings

if TYPE_CHECKING:
    from toolkit.play.found import Installation

KEYS = {"cores": "libretro_directory", "info": "libretro_info_path", "system": "system_directory"}
# Where a Flatpak sees what is installed with it; nothing outside of its sandbox has that name.
APP = Path("/app")


@dataclass(frozen=True, slots=True)
class Folders:
    """The three folders; none of them need be there. values are the settings they were read from."""

    cores: Path
    info: Path
    system: Path
    values: dict[str, str]


def of(installation: Installation) -> Folders:
    """Return the folders of a RetroArch. Nothing of it is changed."""
    config = installation.config
    if not paths.is_file(config) and installation.skeleton is not None:
        config = installation.skeleton  # what RetroArch makes its own settings from at its first start
    values = settings.read(config)
    for included in _includes(config, installation.home):
        values = {**settings.read(included), **values}
    chosen = {name: _place(installation, values.get(key, "")) for name, key in KEYS.items()}
    cores = chosen["cores"] or installation.data / "cores"
    info = chosen["info"] or _first([installation.data / "info", cores])
    return Folders(cores, info, chosen["system"] or installation.data / "system", values)


def _place(installation: Installation, value: str) -> Path | None:
    """Return the folder that a setting names, as it is seen from outside of a sandbox."""
    app = installation.app
    beside = Path(installation.argv[0]).parent if app is None else app / "bin"
    named = settings.expand(value, beside, installation.home)
    if app is not None and named is not None and named.is_relative_to(APP):
        return app / named.relative_to(APP)
    return named


def _first(places: list[Path]) -> Path:
    """Return the first folder that holds .info files, else the last."""
    return next((place for place in places if any(place.glob("*.info"))), places[-1])


def _includes(config: Path, home: Path) -> list[Path]:
    """Return the files that a settings file includes."""
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    names = [line.split(None, 1)[1].strip().strip('"') for line in lines if line.startswith("#include ")]
    found = (settings.expand(name, config.parent, home) for name in names)
    return [config.parent / each for each in found if each is not None]
