"""Ways in which the host of a relay breaks, each with the words that name its cause."""

from __future__ import annotations

from dataclasses import dataclass

SERVICES = "netplay-relay.socket netplay-relay.service"
RESTART = "systemctl restart netplay-relay.service || true"
FIREWALL = "netplay-relay-firewall.service"
CONFIG, STATE = "/etc/netplay-relay", "/var/lib/netplay-relay"
ARCHIVES = "/var/cache/apt/archives"
UNIT = "/etc/systemd/system/netplay-relay.service"
CURRENT = "/opt/netplay-relay/current"
PORT = 55435
FAILS = '[ "$(systemctl show --value --property=NRestarts netplay-relay.service)" -gt 0 ]'
HELD = f"ss -Hltn sport = :{PORT} | grep -q ."


@dataclass(frozen=True)
class Breakage:
    """A way to break a host.

    how: what root types there (sh -ec). cause: words of the finding that comes first, or of its evidence. until: a
    condition of the shell there that is waited for. friend: words of what a friend's doctor tells first, "" where the
    friend is not asked. undo: what is left to put back there when the cure has worked.
    """

    name: str
    how: str
    cause: str
    until: str = "true"
    friend: str = ""
    undo: str = "true"


BREAKAGES = (
    Breakage("relay stopped", f"systemctl stop {SERVICES}", "it is stopped", friend="no connection to"),
    Breakage("relay stopped and disabled", f"systemctl disable --now --quiet {SERVICES}", "it is stopped"),
    Breakage("port stopped", "systemctl stop netplay-relay.socket", "it is stopped"),
    Breakage(
        "relay masked",
        f"systemctl stop {SERVICES}; rm {UNIT}; systemctl --quiet mask netplay-relay.service",
        "netplay-relay.service is masked",
    ),
    Breakage("firewall agent stopped", f"systemctl stop {FIREWALL}", "the firewall agent is not running"),
    Breakage("rules flushed", f"systemctl stop {FIREWALL}; nft flush ruleset", "the firewall rules are not loaded"),
    Breakage(
        "another firewall's rule before ours",
        "nft add table inet office; "
        "nft add chain inet office input '{ type filter hook input priority -300; policy accept; }'; "
        f"nft add rule inet office input tcp dport {PORT} drop",
        "table inet office",
        friend="no connection to",
        undo="nft delete table inet office",
    ),
    Breakage("friends.toml missing", f"rm {CONFIG}/friends.toml; systemctl restart {FIREWALL}", "friends.toml"),
    Breakage(
        "friends.toml with a mistake",
        f"echo nonsense >> {CONFIG}/friends.toml; systemctl restart {FIREWALL}",
        "friends.toml cannot be used",
    ),
    Breakage(
        "friends.toml of another account",
        f"chown nobody {CONFIG}/friends.toml; chmod 600 {CONFIG}/friends.toml; systemctl restart {FIREWALL}",
        f"cannot use {CONFIG}/friends.toml",
    ),
    Breakage(
        "a setting that does not exist",
        f"echo 'porrt = 1' >> {CONFIG}/relay.toml; {RESTART}",
        "has no setting porrt",
        FAILS,
    ),
    Breakage(
        "relay.toml for root alone",
        f"chown root:root {CONFIG}/relay.toml; chmod 600 {CONFIG}/relay.toml; {RESTART}",
        f"{CONFIG}/relay.toml is closed to it",
        FAILS,
    ),
    Breakage(
        "settings folder for root alone",
        f"chown root:root {CONFIG}; chmod 700 {CONFIG}; {RESTART}",
        f"{CONFIG} is closed to it",
        FAILS,
    ),
    Breakage(
        "allowlist missing",
        f"rm {CONFIG}/allowlist; {RESTART}",
        "it does not have the allowlist",
        friend="your address is not on its list",
    ),
    Breakage(
        "allowlist for root alone",
        f"chown root:root {CONFIG}/allowlist; chmod 600 {CONFIG}/allowlist; {RESTART}",
        f"{CONFIG}/allowlist is closed to it",
    ),
    Breakage("no link to the program", f"rm {CURRENT}; {RESTART}", "program is not where", FAILS),
    Breakage("program for root alone", f'chmod 700 "$(readlink -f {CURRENT})"; {RESTART}', "netplay-relay.pyz", FAILS),
    Breakage("no python3", "rm /usr/bin/python3", "there is no /usr/bin/python3"),
    Breakage("another program is python3", "ln -sf /bin/true /usr/bin/python3", "is not a Python that runs"),
    Breakage("state of another account", f"chown -R nobody {STATE}", f"cannot use {STATE}"),
    Breakage(
        "disk full",
        "mkdir -p /run/small; mount -t tmpfs -o size=4m tmpfs /run/small; mkdir -p /run/small/state /run/small/deb; "
        f"cp -a {STATE}/. /run/small/state; systemctl stop {FIREWALL}; chmod 700 /run/small/state; "
        f"mount --bind /run/small/state {STATE}; mkdir /run/small/deb/partial; mount --bind /run/small/deb {ARCHIVES}; "
        f"systemctl start {FIREWALL}; dd if=/dev/zero of={ARCHIVES}/much_1_all.deb bs=64k status=none || true",
        f"disk at {STATE} is full",
        undo=f"systemctl stop {FIREWALL}; umount {STATE} {ARCHIVES} /run/small; systemctl start {FIREWALL}",
    ),
    Breakage(
        "port taken by a service",
        f"systemctl stop {SERVICES}; systemd-run --quiet --unit=squatter python3 -m http.server {PORT}",
        "held by another program",
        HELD,
    ),
    Breakage(
        "port taken by hand",
        f"systemctl stop {SERVICES}; setsid python3 -m http.server {PORT} >/dev/null 2>&1 </dev/null &",
        "held by another program",
        HELD,
    ),
    Breakage("control socket removed", "rm /run/netplay-relay/control.sock", "control.sock"),
    Breakage(
        "a drop-in breaks the unit",
        f"mkdir -p {UNIT}.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {UNIT}.d/mine.conf; "
        f"systemctl daemon-reload; {RESTART}",
        "mine.conf",
        FAILS,
    ),
    Breakage(
        "the unit was edited",
        f"sed -i 's/ serve / sevre /' {UNIT}; systemctl daemon-reload; {RESTART}",
        "it starts and fails",
        FAILS,
    ),
    Breakage("account removed", f"systemctl stop {SERVICES}; userdel netplay-relay", "no account for the relay"),
)
# What puts a host back far enough for a deployment, whatever a test that failed has left of these.
PUT_BACK = f"""
systemctl stop {FIREWALL} squatter
umount {STATE} {ARCHIVES} /run/small
ln -sfn "$(cd /usr/bin; ls python3.* | grep -x 'python3.[0-9]*')" /usr/bin/python3
rm -rf {UNIT}.d
systemctl unmask netplay-relay.service
nft delete table inet office
chown -R root {STATE} {CONFIG}
systemctl daemon-reload
"""
