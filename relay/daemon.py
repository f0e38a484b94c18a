"""The relay as a process: listeners, signals, the control socket, stopping and upgrading around one Server."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from relay import control_client, service_manager, upgrade
from relay.addresses import canonical
from relay.config import Config
from relay.logs import Events, log
from relay.monitoring import status
from relay.monitoring.subscribers import Subscribers
from relay.net import control_socket, sockets
from relay.net.lan_discovery import LanDiscovery, can_be_listed
from relay.net.listeners import Listeners
from relay.net.selector import LinkSelector
from relay.net.server import Server
from relay.net.wakeup import WakeupTimer
from relay.switchboard import snapshot
from relay.upgrade import Verdict

# Turns of the event loop in which a signal that has come reaches its handler: wake-up, dispatch, handler.
SIGNAL_TURNS = 4


class Daemon:
    """Runs a relay until it is told to stop.

    config_path is what a new program is checked with; selector is the event loop's, if it can serve links.
    """

    def __init__(
        self, config: Config, config_path: Path | None, events: Events, selector: LinkSelector | None = None
    ) -> None:
        self._selector = selector
        self._config = config
        self._config_path = config_path
        self._events = events
        self._done = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._upgrading: asyncio.Task[None] | None = None
        self._upgrade_asked = False
        self._waiting_for_new: asyncio.Task[None] | None = None
        self._replies: list[socket.socket] = []
        self._alarm: WakeupTimer | None = None

    async def run(self, listeners: Listeners, state: dict[str, Any] | None) -> None:
        """Serve on listeners; state is what an older program left."""
        for sock in listeners.streams:
            sockets.prepare(sock, self._config.listen.max_segment)
        self._listeners = listeners
        self._server = Server(self._config, listeners.streams, self._events, selector=self._selector)
        if state is not None:
            self._restore(state)
        self._server.start()
        self._followers = Subscribers(lambda known: status.of(self._server, self._config, known))
        self._control = self._open_control(state)
        replies = list(state.get("replies", [])) if state is not None else None
        if state is not None:
            # Whoever called holds it, for as long as this runs.
            state.clear()
        self._handle_signals()
        places = [sock.getsockname()[:2] for sock in listeners.streams]
        bound = {address for address, _ in places}
        allows = self._server.allows
        discovery = LanDiscovery(listeners.datagrams, self._server.lan_rooms, allows, time.monotonic, bound)
        for address, port in places:
            self._events.write(logging.INFO, "listening", "listening on [{bound}]:{port}", bound=address, port=port)
        self._warn_of_ports(listeners, {port for _, port in places})
        if self._config.lan.answer and not can_be_listed(bound):
            hint = 'Name one of this machine in relay.toml, under [listen]: bind = ["192.168.1.2"]'
            log.warning("LAN discovery is on, but RetroArch lists only private IPv4 addresses. %s", hint)
        service_manager.notify("READY=1")
        if replies is not None:
            await self._after_upgrade(replies)
        await self._done.wait()
        if self._control:
            self._control.close()
        self._followers.close()
        discovery.close()
        self._server.stop()

    def _warn_of_ports(self, listeners: Listeners, open_ports: set[int]) -> None:
        """Say which settings have no effect because the service manager opens no socket for them."""
        if not listeners.activated:
            return
        for port in sorted(set(self._config.ports) - open_ports):
            log.warning("relay.toml names port %s, but no socket was passed for it. Deploy again: invoke deploy", port)
        if self._config.lan.answer and not listeners.datagrams and can_be_listed(self._config.listen.bind):
            log.warning("LAN discovery is on, but no UDP socket was passed for it. Deploy again: invoke deploy")

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self._server.restore(state)
        except (*snapshot.BROKEN, OSError) as error:
            raise upgrade.UnusableStateError(repr(error)) from error

    def _open_control(self, state: dict[str, Any] | None) -> control_socket.ControlSocket | None:
        default = control_client.default_path()
        paths = dict.fromkeys(path for path in (self._config.control.socket, default) if path)
        handlers = {
            "status": self._answer_status,
            "follow": self._followers.add,
            "kick": self._answer_kick,
            "allows": self._answer_allows,
            "upgrade": self._answer_upgrade,
        }
        for path in paths:
            opened = control_socket.ControlSocket(path, handlers)
            try:
                opened.open(upgrade.control_socket_of(state, path))
            except OSError as error:
                # Without it there is no status; that is no reason not to serve games.
                hint = (
                    f"Let this account write to {path.parent}, or name another path under [control] in relay.toml; then"
                )
                reason = error.strerror or error
                log.warning(
                    "no control socket at %s, so no status: %s. %s: kill -HUP %d", path, reason, hint, os.getpid()
                )
                state = None  # an inherited socket of another path is closed by now
                continue
            if default and path != default:
                # Whoever knows other settings, older or newer ones, finds it there.
                with contextlib.suppress(OSError):
                    opened.point(default)
            return opened
        return None

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._upgrade)
        if self._selector:
            self._alarm = WakeupTimer(loop)
            self._selector.wake_by(self._alarm)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, upgrade.HELD)

    async def _answer_status(self, _sock: socket.socket, _request: dict[str, Any]) -> dict[str, Any]:
        return status.of(self._server, self._config)

    async def _answer_allows(self, _sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        """Tell whether each of request["addresses"] may connect, by the allowlist in force."""
        try:
            addresses = [canonical(text) for text in request["addresses"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return {"error": f"allows needs addresses: {error}"}
        # In this order: it looks at the file now, and not at what it was half a second ago.
        told = self._server.allowlist()
        return {"allows": [self._server.allows(one) for one in addresses], "allowlist": told}

    async def _answer_kick(self, _sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        """End all connections from request["addresses"], a list of addresses and prefixes."""
        try:
            networks = [ipaddress.ip_network(text) for text in request["addresses"]]
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"kick needs addresses: {error}"}
        return {"kicked": self._server.kick(networks)}

    # Stopping: the first signal drains for a bounded time, the second one ends everything.

    def _stop(self) -> None:
        if self._stopping:
            self._done.set()
            return
        service_manager.notify("STOPPING=1")
        if self._waiting_for_new:
            self._waiting_for_new.cancel()
        self._server.drain()
        self._stopping = asyncio.get_running_loop().create_task(self._wait_for_games())

    async def _wait_for_games(self) -> None:
        seconds = self._config.timeouts.drain
        if not self._server.drained.is_set():
            sentence = "stopping: games go on for at most {seconds} s, no new rooms (a second signal ends them now)"
            self._events.write(logging.INFO, "draining", sentence, seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._server.drained.wait()
        except TimeoutError:
            pass
        self._done.set()

    # Upgrading: SIGHUP, or the request of `netplay-relay upgrade`, which waits for the answer.

    def _upgrade(self) -> None:
        if self._stopping:
            return
        # While an earlier one is at work, too: what it checks may have been mended since it was asked for.
        self._upgrade_asked = True
        if not self._upgrading:
            self._upgrading = asyncio.get_running_loop().create_task(self._change_programs())

    async def _answer_upgrade(self, sock: socket.socket, _request: dict[str, Any]) -> dict[str, Any] | None:
        if self._stopping:
            return {"error": "the relay is stopping"}
        self._replies.append(sock)
        self._upgrade()
        return None

    async def _change_programs(self) -> None:
        try:
            while self._upgrade_asked and not self._stopping:
                self._upgrade_asked = False
                answer = await self._try_to_change()
                if self._upgrade_asked and not self._stopping:
                    continue
                await self._reply(answer)
                if "waiting" in answer:
                    self._drain_for_new()
            if self._stopping:
                await self._reply({"error": "the relay is stopping"})
        finally:
            self._upgrading = None

    async def _try_to_change(self) -> dict[str, Any]:
        """Change programs; return what there is to say where that is not done, or not now."""
        try:
            verdict, words = await upgrade.check(str(self._config_path) if self._config_path else None)
            if verdict is Verdict.OTHER_STATE:
                return {"waiting": "the new release cannot take over running games; it starts after the last one"}
            if verdict is Verdict.READY:
                words = await self._become_new()
        except Exception as error:
            # Whatever it is: this program goes on, and the next upgrade is tried like any other.
            log.exception("internal error while upgrading")
            service_manager.notify("READY=1")
            words = f"this program failed at it ({type(error).__name__}); its log has the traceback"
        sentence = "the new program is not fit, so this one goes on: {words}"
        self._events.write(logging.ERROR, "upgrade-refused", sentence, words=words)
        return {"error": words}

    async def _become_new(self) -> str:
        """Exec; if it cannot be, return why."""
        # A signal that came before this is handled before the state is written; one that comes later waits in the
        # kernel for the new program. What lay in between would be lost with this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, upgrade.HELD)
        try:
            if self._alarm:
                await self._alarm.ring()
            for _ in range(SIGNAL_TURNS):
                await asyncio.sleep(0)
            return "the relay is stopping" if self._stopping else self._exec()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, upgrade.HELD)

    def _exec(self) -> str:
        service_manager.notify("RELOADING=1")
        state = self._server.capture()
        # Whoever waited for a program that reads its state has found one: rooms are open again.
        state["board"]["draining"] = False
        state["activated"] = self._listeners.activated
        # What we opened ourselves for datagrams the new program opens anew: there is nothing in it to lose.
        passed_on = self._listeners.datagrams if self._listeners.activated else []
        state["datagrams"] = [sock.fileno() for sock in passed_on]
        state["control"] = self._control.capture() if self._control else None
        state["replies"] = [sock.fileno() for sock in self._replies]
        if self._alarm:
            # The new program has no handler for it yet, and without one it ends a process.
            self._alarm.stop()
        try:
            upgrade.become_new(state, upgrade.descriptors_of(state))
        except OSError as error:
            service_manager.notify("READY=1")
            return str(error)
        return ""

    async def _after_upgrade(self, replies: list[int]) -> None:
        self._replies = [sockets.inherit(fd) for fd in replies]
        links = sum(conn.is_link for conn in self._server.board.live())
        sentence = "upgraded in place to {program}: {sessions} sessions and {links} links go on"
        counts = {"sessions": len(self._server.board.sessions), "links": links}
        self._events.write(logging.INFO, "upgraded", sentence, program=status.program(), **counts)
        if tables := len(self._server.board.tables.at):
            counts["tables"] = tables
            self._events.write(logging.INFO, "upgraded-tables", "so do {tables} core-less sessions", tables=tables)
        await self._reply({"upgraded": status.program(), **counts})

    def _drain_for_new(self) -> None:
        sentence = "the new release cannot read this one's state: no new rooms, it starts when the last game is over"
        self._events.write(logging.WARNING, "draining", sentence)
        self._server.drain()
        if not self._waiting_for_new:
            self._waiting_for_new = asyncio.get_running_loop().create_task(self._wait_without_bound())

    async def _wait_without_bound(self) -> None:
        await self._server.drained.wait()
        self._done.set()

    async def _reply(self, result: dict[str, Any]) -> None:
        replies, self._replies = self._replies, []
        for sock in replies:
            try:
                await control_socket.answer(sock, result)
            except (OSError, TimeoutError):
                pass
            finally:
                sock.close()
