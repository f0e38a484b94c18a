"""What .info files do not say: which core to prefer for netplay, which to leave, and why. A reason for each entry.

The reasons are of three kinds: how much work a core is for rollback, which saves its state every frame and plays frames
again; what its system shares between players; and what its own authors say of its savestates.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFER, GOOD, CARE, LEAVE = "prefer", "good", "care", "leave"
HEAVY = "rollback saves and plays again whole frames several times a second, and its system is too much work for that"
TWO_SCREENS = "two screens, a touch screen and link play between machines: netplay shares one machine's pads, no more"


@dataclass(frozen=True, slots=True)
class Entry:
    """A core by its short name: what to do with it, and why.

    deterministic: it keeps in step although its .info may say less (see the 'serialized' trap in docs/playing.md).
    links: what the core calls itself, of one that links machines by packets of its own (RetroArch 1.16 and newer).
    """

    advice: str
    reason: str
    deterministic: bool = False
    links: str = ""


CORES: dict[str, Entry] = {
    "fbneo": Entry(
        PREFER, "arcade: its authors keep savestates deterministic; all need the same version of the romset"
    ),
    "fbalpha2012": Entry(LEAVE, "an old cut of FinalBurn with weaker savestates: take fbneo"),
    "mame2003_plus": Entry(LEAVE, "its savestates are hit or miss from game to game: take fbneo where it has the game"),
    "mame2003": Entry(LEAVE, "its savestates are hit or miss from game to game: take fbneo where it has the game"),
    "mame2010": Entry(LEAVE, "it cannot save states: take fbneo"),
    "mame": Entry(CARE, "only some of its drivers save states well enough; try the game with fbneo first"),
    "quicknes": Entry(PREFER, "NES: small savestates and little work; it lacks rarer mappers, then take nestopia"),
    "nestopia": Entry(GOOD, "NES: accurate, four players with the adapter option; keeps in step", deterministic=True),
    "fceumm": Entry(GOOD, "NES: many mappers, modest work"),
    "mesen": Entry(CARE, "NES: most accurate and most work; for two fast machines"),
    "snes9x": Entry(PREFER, "SNES: fast, faithful, five players with the multitap"),
    "snes9x2010": Entry(GOOD, "SNES: less work than snes9x, for slow machines"),
    "bsnes": Entry(LEAVE, "SNES: too much work to play frames again; take snes9x"),
    "bsnes_hd_beta": Entry(LEAVE, "SNES: too much work to play frames again; take snes9x"),
    "gambatte": Entry(CARE, "one Game Boy with one pad: good for taking turns; for two players take tgbdual"),
    "tgbdual": Entry(PREFER, "Game Boy: two machines joined by a link cable inside one core, a player on each"),
    "sameboy": Entry(CARE, "one Game Boy unless it is started with two; tgbdual is simpler to agree on"),
    "DoubleCherryGB": Entry(
        GOOD,
        "Game Boy: up to sixteen linked inside one core; set to one Game Boy it links machines in RetroArch 1.17",
        links="DoubleCherryGB",
    ),
    "gpsp": Entry(PREFER, "GBA: little work; 1.0 links machines in RetroArch 1.17, by wireless adapter", links="gpSP"),
    "mgba": Entry(CARE, "one GBA with one pad: good for watching and taking turns; link play needs gpsp"),
    "vbam": Entry(CARE, "one GBA with one pad: good for watching and taking turns; link play needs gpsp"),
    "smsplus": Entry(PREFER, "Master System, Game Gear: small and fast; two pads on the Master System"),
    "genesis_plus_gx": Entry(GOOD, "Mega Drive: accurate; a few games drift, then picodrive", deterministic=True),
    "picodrive": Entry(PREFER, "Mega Drive, 32X: the least work of its kind, for slow machines too"),
    "blastem": Entry(LEAVE, "Mega Drive: its savestates do not keep in step; take picodrive or genesis_plus_gx"),
    "pcsx_rearmed": Entry(GOOD, "PlayStation: the least work; all need the same BIOS file (play.bios) or all none"),
    "mednafen_psx": Entry(CARE, "PlayStation: accurate, and much work; all need the same BIOS"),
    "mednafen_psx_hw": Entry(LEAVE, "PlayStation: draws on the graphics card, whose picture is in no savestate"),
    "swanstation": Entry(LEAVE, "PlayStation: draws on the graphics card; take pcsx_rearmed"),
    "duckstation": Entry(LEAVE, "PlayStation: draws on the graphics card; take pcsx_rearmed"),
    "desmume": Entry(LEAVE, TWO_SCREENS),
    "desmume2015": Entry(LEAVE, TWO_SCREENS),
    "melonds": Entry(LEAVE, TWO_SCREENS),
    "melondsds": Entry(CARE, "DS: too much work to be played again; it links machines instead", links="melonDS DS"),
    "virtualjaguar": Entry(
        CARE, "Jaguar: much work; newer ones link machines instead, as the console's cable did", links="Virtual Jaguar"
    ),
    "citra": Entry(LEAVE, TWO_SCREENS),
    "mupen64plus_next": Entry(LEAVE, HEAVY),
    "parallel_n64": Entry(LEAVE, HEAVY),
    "dolphin": Entry(LEAVE, HEAVY),
    "ppsspp": Entry(LEAVE, HEAVY),
    "flycast": Entry(LEAVE, HEAVY),
    "pcsx2": Entry(LEAVE, HEAVY),
    "play": Entry(LEAVE, HEAVY),
    "kronos": Entry(LEAVE, HEAVY),
    "yabasanshiro": Entry(LEAVE, HEAVY),
    "mednafen_saturn": Entry(CARE, "Saturn: keeps in step, on very fast machines alone"),
    "opera": Entry(LEAVE, HEAVY),
    "scummvm": Entry(LEAVE, "it saves its games by itself and not as savestates, so nothing can be played again"),
    "dosbox_pure": Entry(
        LEAVE,
        "its savestates are too large and do not keep in step; newer ones link machines, as a network card does",
        links="DOSBox-pure",
    ),
}
NEED_A_HOST = "games without a host do not carry its packets"
_LINKS = {entry.links.lower() for entry in CORES.values() if entry.links}
RANK = {PREFER: 0, GOOD: 1, "": 2, CARE: 3, LEAVE: 4}


def links(core: str) -> bool:
    """Tell whether a core, by what it calls itself, links machines by packets that only a host passes on."""
    return core.lower() in _LINKS


def all_that_link() -> str:
    """Return the names of such cores, as a sentence has them."""
    *names, last = (entry.links for entry in CORES.values() if entry.links)
    return f"{', '.join(names)} or {last}"
