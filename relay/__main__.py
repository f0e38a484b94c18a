"""The one entry point, as `netplay-relay` and as `python3 -m relay`: a command of the gate does not load the relay."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run what was typed; return the exit code."""
    speak_utf8()
    if sys.argv[1:2] == ["gate"]:
        from relay.gate import cli as gate

        return gate.main(sys.argv[2:])
    from relay import cli

    return cli.main()


def speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where the host's language is written otherwise, in the same process.

    Names of friends come as UTF-8 in files, words and answers, whatever LANG says; a service manager hands LANG on.
    """
    chosen = any(word.startswith(("utf8", "-Xutf8")) for word in sys.orig_argv[1:8])  # the second time, or by a person
    if chosen or sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    words = _words()
    if words:
        os.execv(sys.executable, [os.fsencode(sys.executable), b"-X", b"utf8", *words[1:]])  # noqa: S606 - the very same


def _words() -> list[bytes]:
    """Return the command line as it was typed, byte for byte, [] where that cannot be seen.

    Python's own copy has been read by the C library's idea of the host's language, which Python may write otherwise.
    """
    try:
        with open("/proc/self/cmdline", "rb") as file:  # noqa: PTH123 - pathlib takes a while to load
            return file.read().split(b"\0")[:-1]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
