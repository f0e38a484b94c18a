"""Host names as a person types them: input, never a piece of a command line."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from toolkit.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_EXAMPLE = "A host is a name from ~/.ssh/config, a DNS name or an address: invoke deploy --host myvps"


@dataclass(frozen=True, slots=True)
class HostName:
    """A host as ssh is given it (alias), and a form of it that is safe as a file name and in an inventory (slug)."""

    alias: str
    slug: str


def parse_host(text: str) -> HostName:
    """Check the name of a host. Raises UserError for whatever ssh, a shell or a file name could misread."""
    if address := _ipv6(text):
        return HostName(address, address.replace(":", "-"))
    if _NAME.fullmatch(text):
        return HostName(text, text.lower())
    raise UserError(f"{text!r} is not the name of a host: {_reason(text)}", fix=_advice(text))


def parse_user(text: str) -> str:
    """Check the name of an account. Raises UserError."""
    if not _USER.fullmatch(text):
        raise UserError(
            f"{text!r} is not the name of an account on a host",
            fix="It is letters, digits, '_', '.' and '-': invoke deploy --host myvps --user admin",
        )
    return text


def _ipv6(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def _reason(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if text.startswith("-"):
        return "it begins with a dash, and would be read as an option"
    if any(character.isspace() for character in text):
        return "it has a space in it"
    if "@" in text:
        return "the account is not part of it"
    odd = sorted({character for character in text if not re.match(r"[A-Za-z0-9._-]", character)})
    if odd:
        return "it has " + " ".join(repr(character) for character in odd) + " in it"
    return "it is too long, or begins or ends with a dot or a dash"


def _advice(text: str) -> str:
    user, at, host = text.partition("@")
    if at and _USER.fullmatch(user) and _NAME.fullmatch(host):
        return f"Name the account apart: invoke deploy --host {host} --user {user}"
    host, colon, port = text.partition(":")
    if colon and port.isdigit() and _NAME.fullmatch(host):
        return f"ssh's port belongs into ~/.ssh/config, under 'Host {host}': Port {port}"
    return _EXAMPLE
