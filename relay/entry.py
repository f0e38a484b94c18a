"""Where the program starts: a command of the gate does not load the relay."""

from __future__ import annotations

import sys


def main() -> int:
    """Run what was typed; return the exit code."""
    if sys.argv[1:2] == ["gate"]:
        from relay.gate import cli as gate

        return gate.main(sys.argv[2:])
    from relay import cli

    return cli.main()
