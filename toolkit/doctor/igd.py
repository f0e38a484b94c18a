"""The router of this network, if it speaks UPnP: what it believes to be its address on the internet.

Only the network that this machine is in is asked: the search goes out by multicast that no router passes on, and an
answer counts only if it comes from a private address and names a description at that very address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from http.client import HTTPException
from typing import Any
from urllib.parse import urljoin, urlsplit

GROUP = ("239.255.255.250", 1900)
SEARCH_SECONDS = 2.0
HTTP_SECONDS = 3.0
LARGEST = 64 * 1024
DATAGRAM = 2048
MOST_ANSWERS = 8
SEARCH = (
    "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
)  # fmt: skip
SERVICES = ("WANIPConnection", "WANPPPConnection")
ENVELOPE = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
    '<u:GetExternalIPAddress xmlns:u="{service}"></u:GetExternalIPAddress></s:Body></s:Envelope>'
)


@dataclass(frozen=True, slots=True)
class Router:
    """A router: its own address here, and what it says its address outside is ("" when it does not say)."""

    address: str
    external: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def find(local: str) -> Router | None:
    """Return the router that answers at the network of a local IPv4 address; None when none does."""
    for address, location in _search(local):
        with contextlib.suppress(OSError, ValueError, HTTPException, ET.ParseError):
            if control := _control(address, location):
                return Router(address, _external(address, *control))
    return None


def _search(local: str) -> Iterator[tuple[str, str]]:
    """Yield who answers a search, and where its description is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.bind((local, 0))
            sock.sendto(SEARCH.encode(), GROUP)
        except OSError:
            return
        end = time.monotonic() + SEARCH_SECONDS
        for _ in range(MOST_ANSWERS):
            sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                data, (address, _port) = sock.recvfrom(DATAGRAM)
            except OSError:
                return
            location = _location(data)
            if location and _is_ours(address, location):
                yield address, location


def _location(data: bytes) -> str:
    """Return the LOCATION of an answer to a search, whose head has the form of HTTP's."""
    status, _, rest = data.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.") or b" 200 " not in status + b" ":
        return ""
    return str(BytesHeaderParser().parsebytes(rest).get("location", "")).strip()


def _is_ours(address: str, url: str) -> bool:
    """Tell whether a URL is at that address and the address in a private network."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname == address and not ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _fetch(address: str, request: urllib.request.Request) -> ET.Element:
    if not _is_ours(address, request.full_url):
        raise ValueError("a description leads elsewhere")
    with _OPENER.open(request, timeout=HTTP_SECONDS) as answer:
        data: bytes = answer.read(LARGEST + 1)
    # Without declarations of its own a document has no entities that could grow or read files.
    if len(data) > LARGEST or b"\0" in data or b"<!" in data.replace(b"<!--", b""):
        raise ValueError("a description is not plain XML of a sensible size")
    return ET.fromstring(data)  # noqa: S314 - bounded, and without a document type, see above


def _control(address: str, location: str) -> tuple[str, str] | None:
    """Return the service that knows the external address, and the URL to ask it at."""
    root = _fetch(address, urllib.request.Request(location))  # noqa: S310 - http alone, see _is_ours
    base = next((node.text for node in root.iter() if node.tag.endswith("URLBase") and node.text), location)
    for node in root.iter():
        if node.tag.rpartition("}")[2] == "service":
            facts = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in node}
            kind = facts.get("serviceType", "")
            if any(f":{name}:" in kind for name in SERVICES) and facts.get("controlURL"):
                return kind, urljoin(base.strip(), facts["controlURL"])
    return None


def _external(address: str, service: str, control: str) -> str:
    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{service}#GetExternalIPAddress"'}
    body = ENVELOPE.format(service=service).encode()
    root = _fetch(address, urllib.request.Request(control, body, headers))  # noqa: S310 - http alone, see _is_ours
    told = next((node.text or "" for node in root.iter() if node.tag.endswith("NewExternalIPAddress")), "").strip()
    return str(ipaddress.ip_address(told)) if told else ""
