"""Writes docs/outcomes.md from relay/outcomes.py, so that the words in the log are explained by the code itself."""

from __future__ import annotations

from pathlib import Path

from relay.outcomes import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"

HEAD = """\
# How connections end

Every connection ends with exactly one of these words. The relay's log has it (`journalctl -u netplay-relay`), and
`netplay-relay status` and `netplay-relay metrics` count it. A session ends with the word of its host, a game without a
host with the word of its last player; sessions and connections are counted separately.

RetroArch gives no reason when it closes. After `left` and `peer-left` the log adds what happened in the second before:
`(right before: the host reset the game)`.

| word | what happened |
| --- | --- |
"""


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(f"| `{outcome.value}` | {outcome.doc} |\n" for outcome in Outcome)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
