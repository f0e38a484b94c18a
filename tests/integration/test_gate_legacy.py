"""The same on a host that has no nft: legacy iptables with ipset. The tests are those of test_gate_lab.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.test_gate_lab import (  # noqa: F401 - they run here, on another host
    relay,
    test_a_change_that_cannot_be_confirmed_comes_back_by_itself_and_says_so,
    test_a_game_goes_on_when_its_players_time_is_over_and_no_other_begins,
    test_a_name_is_looked_up_on_the_host_and_one_without_an_answer_is_refused,
    test_a_prefix_keeps_letting_in_whom_a_removed_address_was_in,
    test_a_removal_lets_the_game_end_and_a_kick_does_not,
    test_after_a_reboot_the_wall_stands_with_the_time_that_was_left,
    test_ten_thousand_entries_let_in_who_is_on_them_and_nobody_else,
    test_the_list_shows_who_was_there,
    test_who_is_added_gets_in_at_once_and_who_is_removed_does_not,
    test_without_rules_the_relay_itself_keeps_strangers_out_and_the_keeper_puts_the_wall_back,
)
from tests.support.gate_lab import GateLab, a_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends"
OLD = f"{APT} install ipset; {APT} purge nftables"
OLD += "; for i in iptables ip6tables; do update-alternatives --set $i /usr/sbin/$i-legacy; done"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateLab]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_fleet(tmp_path_factory.mktemp("old"), {"old": OLD}) as made:
            yield made["old"]


def test_it_is_legacy_iptables_with_sets(deployed: GateLab) -> None:
    assert deployed.status()["backend"] == "iptables"
    assert "legacy" in deployed.host.run("iptables", "-V")
    assert "netplay4" in deployed.host.run("ipset", "list", "-n")


def test_a_removal_leaves_such_a_host_as_it_was(deployed: GateLab) -> None:
    removed = deployed.invokes("remove")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    found = deployed.host.snapshot()
    # The tables are the kernel's, and are there since they were looked at; what is in them is what counts.
    rules = [line for line in found.pop("rules").splitlines() if not line.startswith((":", "*", "COMMIT")) and line]
    assert rules == []
    assert deployed.before.pop("rules") == ""
    assert found == deployed.before
