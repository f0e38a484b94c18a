"""What a run came to, as JSON for the program that started ansible: see toolkit/deploy/ansible.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.plugins.callback import CallbackBase

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult

DOCUMENTATION = """
name: netplay_recap
type: notification
short_description: Write what a run came to into a file
description:
  - Writes one JSON object with the number of changed tasks, and the role in which the last failure was.
  - The file is named by the environment variable NETPLAY_RELAY_RECAP; without it nothing is written.
requirements: [enabled in callbacks_enabled]
"""


class CallbackModule(CallbackBase):
    """Counts; prints nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "netplay.relay.netplay_recap"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.failed_role = ""

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        """Remember where the last failure was: one that was rescued is followed by the one that counts."""
        role = getattr(result.task, "_role", None)
        if not ignore_errors:
            self.failed_role = role.get_name(include_role_fqcn=False) if role else ""

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Write the file."""
        path = os.environ.get("NETPLAY_RELAY_RECAP")
        if not path:
            return
        recap: dict[str, Any] = {
            "changed": sum(stats.changed.values()),
            "failed": sum(stats.failures.values()),
            "unreachable": sum(stats.dark.values()),
            "failed_role": self.failed_role,
        }
        Path(path).write_text(json.dumps(recap), encoding="utf-8")
