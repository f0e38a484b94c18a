"""What commands of the gate end with; str() of each is a sentence."""

from __future__ import annotations


class AgentRunsError(Exception):
    """The agent would put everything back."""


class UnknownSubjectError(Exception):
    """Neither a friend's name nor an address."""
