"""What a relay with some settings may use in all: the limits of its service follow from it (docs/security.md, Bounds).

The kernel ends, or starves, whoever is beyond its limits; so these lie above what the relay keeps to by itself.
"""

from __future__ import annotations

from relay.config import Config

MIB = 1024 * 1024
# Python with the relay in it, twice: the next release checks itself beside the running one.
PROGRAM = 96 * MIB
# What is kept of a connection, of its session and of its end, and the kernel's own of its socket.
CONNECTION = 16 * 1024
# Descriptors beside the connections: farewells (relay/net/server.py), those who ask, listeners, epoll, the log.
OTHER_FILES = 1024
# The kernel counts a socket buffer twice what it was set to (socket(7), SO_RCVBUF), and there are two of them.
BUFFERS = 4


def held(config: Config) -> int:
    """Return what friends can make the relay hold beyond what it has when idle (bytes)."""
    return config.buffers.memory + 16 * MIB


def private(config: Config) -> int:
    """Return the most that the process has of its own, its memory file not counted (bytes): for RLIMIT_DATA."""
    return PROGRAM + config.limits.connections * (CONNECTION + config.buffers.waiting_client)


def memory_high(config: Config) -> int:
    """Return all that it should have (bytes), one socket buffer of each connection filled: MemoryHigh."""
    return private(config) + config.buffers.memory + config.limits.connections * config.buffers.socket


def memory_max(config: Config) -> int:
    """Return all that it can have (bytes), every socket buffer filled: MemoryMax."""
    sockets = config.limits.connections * BUFFERS * config.buffers.socket
    return private(config) + config.buffers.memory + sockets


def open_files(config: Config) -> int:
    """Return how many descriptors it needs, with as many again for settings that change under it: LimitNOFILE."""
    return 2 * config.limits.connections + OTHER_FILES
