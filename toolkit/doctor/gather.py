"""Gathering a Case: the host over one ssh connection, and the network from here, at the same time."""

from __future__ import annotations

import ipaddress
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.console import step
from toolkit.deploy import zipapp
from toolkit.doctor import carry, igd, onhost, probe
from toolkit.doctor.case import Case
from toolkit.errors import UserError
from toolkit.hosts import interpreter, inventory
from toolkit.ssh import answers, replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.doctor.target import Target
    from toolkit.hosts.remote import Remote

SCRIPT = Path(onhost.__file__)
HOST_SECONDS = 120.0


def gather(
    target: Target, remote: Remote | None, *, quiet: bool = False, clock: Callable[[], float] = time.time
) -> Case:
    """Look at a relay from here, and with remote at its host; clock is this machine's, in seconds since 1970."""
    case = Case(target)
    tell = (lambda _label, _text: None) if quiet else step
    with ThreadPoolExecutor(max_workers=2) as pool:
        inside = pool.submit(_inside, case, remote, clock) if remote else None
        tell("network", f"trying {target.typed} from here, a few seconds")
        _outside(case)
        if inside and remote:
            tell("host", f"asking {remote.link.alias}")
            inside.result()
    return case


def _outside(case: Case) -> None:
    target = case.target
    try:
        case.addresses = probe.addresses(target.address, target.port)
    except (OSError, UnicodeError) as error:
        case.unknown = getattr(error, "strerror", None) or str(error)
        return
    with ThreadPoolExecutor(max_workers=4) as pool:
        case.reached = list(pool.map(lambda address: probe.reach(address, target.port), case.addresses))
        ipv4 = next((one for one in case.addresses if ":" not in one), None)
        case.local = probe.local_address(ipv4 or case.addresses[0])
        router = pool.submit(_router, case.local)
        if case.open:
            first = case.open[0].address
            case.talk = probe.talk(first, target.port)
            if case.talk and case.talk.kind == "relay":
                case.carried = carry.carried(first, target.port)
            case.latency = probe.latency(first, target.port)
        case.router = router.result()


def _router(local: str | None) -> igd.Router | None:
    """Ask the router only from inside a private network: anywhere else there is none of ours."""
    if local is None:
        return None
    address = ipaddress.ip_address(local)
    if address.version != 4 or address.is_loopback or address.is_global:
        return None
    return igd.find(local)


def _inside(case: Case, remote: Remote, clock: Callable[[], float]) -> None:
    case.remote = remote
    case.files = inventory.files_of(remote.place.host)
    with tempfile.TemporaryDirectory(prefix="netplay-relay-") as folder:
        case.release = zipapp.build(Path(folder)).id
    begun = clock()
    try:
        case.host = _ask(remote, case.target.ports)
    except UserError as error:
        case.no_login = error
    case.asked = begun, clock()


def _ask(remote: Remote, ports: tuple[int, ...]) -> dict[str, object]:
    """Run onhost.py over there; UserError when it cannot be run."""
    script = SCRIPT.read_text(encoding="utf-8")
    done = remote.run([str(port) for port in ports], script, HOST_SECONDS, program="-")
    if answers.find(done.stdout) is None:
        raise interpreter.trouble(remote) or remote.failed(done)
    return dict(remote.shaped(done.stdout, replies.LOOKED))
