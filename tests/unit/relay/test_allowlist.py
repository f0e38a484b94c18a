"""The second gate: an allowlist file, looked at when a connection is accepted."""

from __future__ import annotations

import errno
import ipaddress
import logging
from pathlib import Path

import pytest

from relay.allowlist import RECHECK, Allowlist, UnusableError, parse

ANNA = ipaddress.ip_address("203.0.113.7")
BEN = ipaddress.ip_address("2001:db8:1:2::7")
STRANGER = ipaddress.ip_address("198.51.100.1")


def test_without_a_file_everybody_may() -> None:
    assert Allowlist(None).allows(STRANGER, 0)


def test_those_in_the_file_may_and_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "allowlist"
    file.write_text("# written by the firewall role\n203.0.113.7  # anna\n2001:db8:1:2::/64  # ben\n\n10.0.0.0/8\n")
    allowlist = Allowlist(file)
    assert allowlist.allows(ANNA, 0)
    assert allowlist.allows(BEN, 0)
    assert allowlist.allows(ipaddress.ip_address("10.1.2.3"), 0)
    assert not allowlist.allows(STRANGER, 0)
    assert not allowlist.allows(ipaddress.ip_address("2001:db8:1:3::7"), 0)


def test_a_change_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "allowlist"
    file.write_text("203.0.113.7\n")
    allowlist = Allowlist(file)
    assert not allowlist.allows(STRANGER, 0)
    new = tmp_path / "new"
    new.write_text("198.51.100.1\n")
    new.replace(file)
    assert allowlist.allows(STRANGER, RECHECK)
    assert not allowlist.allows(ANNA, RECHECK)


def test_an_unreadable_file_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "allowlist"
    file.write_text("203.0.113.7\n")
    allowlist = Allowlist(file)
    assert allowlist.allows(ANNA, 0)
    file.unlink()
    with caplog.at_level(logging.ERROR, "netplay-relay.gate"):
        assert not allowlist.allows(ANNA, 1)
        assert not allowlist.allows(ANNA, 2)
    # Another test may have left the relay's loggers at a lower level.
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1, "it is said once, not for every connection"
    assert "nobody is let in" in caplog.text
    file.write_text("203.0.113.7\n")
    assert allowlist.allows(ANNA, 3)


def test_a_file_that_is_missing_is_said_before_somebody_is_kept_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    allowlist = Allowlist(tmp_path / "allowlist")
    sentence = (
        f"allowlist {tmp_path}/allowlist cannot be used, so nobody is let in: No such file or directory. Write it,"
    )
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.message.startswith(sentence)
    assert record.message.endswith("where the relay was deployed: invoke friends.push")
    assert not allowlist.allows(ANNA, 0)
    assert caplog.text.count("nobody is let in") == 1, "it is said once"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "Permission denied. Where the relay was deployed: invoke friends.push. Else see who may read it: ls",
        ),
        (ValueError("line 2: 'x' is not an address or prefix"), "line 2: 'x' is not an address or prefix. Mend it"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "it is not UTF-8 text. Mend it"),
    ],
)
def test_what_is_wrong_with_a_file_comes_with_what_to_do(error: OSError | ValueError, words: str) -> None:
    assert words in str(UnusableError(Path("/etc/netplay-relay/allowlist"), error))


@pytest.mark.parametrize("text", ["203.0.113.7\nanna.example\n", "203.0.113.7/24"])
def test_a_broken_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    file = tmp_path / "allowlist"
    file.write_text(text)
    assert not Allowlist(file).allows(ANNA, 0)


def test_an_error_names_the_line() -> None:
    with pytest.raises(ValueError, match=r"line 2: 'anna\.example'"):
        parse("203.0.113.7\nanna.example\n")
