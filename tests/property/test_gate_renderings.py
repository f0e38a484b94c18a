"""Whatever the list and the ports: the real programs take what the gate renders for them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from relay.gate.backends import ipset, iptables_text, nftables_text
from relay.gate.policy import ruleset
from relay.gate.policy.friends import Friend
from tests.property.test_gate import FRIENDS, NOW, PORTS, built
from tests.support.gate_host import MULTI
from tests.support.namespace import PrivateNetwork, apart
from tests.support.needs import granted, program

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

# Each example runs a few programs.
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateNetwork]:
    for name in ("unshare", "nsenter", "nft", "ipset", *MULTI.values()):
        program(name)
    granted("no network namespace can be made here", [*apart(), "true"])
    with PrivateNetwork(tmp_path_factory.mktemp("network")) as made:
        taken(made, ["ipset", "restore", "-exist"], ipset.create())
        yield made


def taken(network: PrivateNetwork, argv: list[str], text: str) -> None:
    """Give a program its text; it must take it."""
    done = subprocess.run(network.command(argv), input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), text


@FEW
@given(FRIENDS, FRIENDS, PORTS, PORTS)
def test_nft_takes_every_rendering_whole_and_as_a_change(
    network: PrivateNetwork,
    before: list[Friend],
    after: list[Friend],
    ports: tuple[int, ...],
    datagrams: tuple[int, ...],
) -> None:
    first, second = built(before, ports, datagrams=datagrams), built(after, ports)
    whole = (
        nftables_text.removal()
        + nftables_text.frame(first)
        + nftables_text.elements(ruleset.differences(first, {}, NOW))
    )
    for check in (["-c"], []):
        taken(network, ["nft", *check, "-f", "-"], whole)
    left = {name: {net: end and end - NOW for net, end in first.sets[name].items()} for name in ruleset.SETS}
    taken(
        network,
        ["nft", "-c", "-f", "-"],
        nftables_text.frame(second) + nftables_text.elements(ruleset.differences(second, left, NOW)),
    )


@FEW
@given(FRIENDS, PORTS, PORTS)
def test_iptables_takes_every_rendering_with_and_without_sets(
    network: PrivateNetwork, friends: list[Friend], ports: tuple[int, ...], datagrams: tuple[int, ...]
) -> None:
    found = built(friends, ports, datagrams=datagrams)
    taken(network, ["ipset", "restore", "-exist"], ipset.elements(ruleset.differences(found, {}, NOW, ipset.LONGEST)))
    for kind in ("nft", "legacy"):
        for version, word in ((4, "iptables"), (6, "ip6tables")):
            argv = [MULTI[kind], f"{word}-restore", "--noflush", "--test"]
            for by_set in (True, False):
                taken(network, argv, iptables_text.restore(iptables_text.frame(found, version, ipset=by_set), 0))


def test_a_rendering_with_a_mistake_is_not_taken(network: PrivateNetwork) -> None:
    nobody = built([], (55435,))
    rules = iptables_text.restore(iptables_text.frame(nobody, 4, ipset=False), 0).replace("--dports", "--dprts")
    with pytest.raises(AssertionError):
        taken(network, ["nft", "-c", "-f", "-"], nftables_text.frame(nobody).replace("dport", "dprt"))
    with pytest.raises(AssertionError):
        taken(network, [MULTI["legacy"], "iptables-restore", "--noflush", "--test"], rules)
