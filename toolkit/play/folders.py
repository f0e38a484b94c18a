"""Where a RetroArch keeps its cores, their .info files and its firmware: what its settings say, else its own custom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.play import settings

if TYPE_CHECKING:
    from toolkit.play.found import Installation

KEYS = {"cores": "libretro_directory", "info": "libretro_info_path", "system": "system_directory"}


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
    if not config.is_file() and installation.skeleton is not None:
        config = installation.skeleton  # what RetroArch makes its own settings from at its first start
    values = settings.read(config)
    for included in _includes(config):
        values = {**settings.read(included), **values}
    beside = Path(installation.argv[0]).parent
    chosen = {name: settings.expand(values.get(key, ""), beside) for name, key in KEYS.items()}
    cores = chosen["cores"] or installation.data / "cores"
    info = chosen["info"] or _first([installation.data / "info", cores])
    return Folders(cores, info, chosen["system"] or installation.data / "system", values)


def _first(places: list[Path]) -> Path:
    """Return the first folder that holds .info files, else the last."""
    return next((place for place in places if any(place.glob("*.info"))), places[-1])


def _includes(config: Path) -> list[Path]:
    """Return the files that a settings file includes."""
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    names = [line.split(None, 1)[1].strip().strip('"') for line in lines if line.startswith("#include ")]
    return [config.parent / Path(name).expanduser() for name in names]
