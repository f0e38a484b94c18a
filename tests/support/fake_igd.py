"""A stand-in for a home router that speaks UPnP: answers a search and says what its address outside is.

    python fake_igd.py ADDRESS EXTERNAL [VARIANT]

A program of its own (standard library alone), to run in a network namespace. Prints "up" when it listens and stays
until its input ends. VARIANT makes a router nobody should believe: "elsewhere" names a description at another address,
"bomb" sends a document type, "huge" a description without end, "broken" no XML, "redirect" sends the asker on.
"""

import contextlib
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GROUP = "239.255.255.250"
PORT = 1900
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"
DESCRIPTION = f"""<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device><serviceList><service>
<serviceType>{SERVICE}</serviceType><controlURL>/control</controlURL>
</service></serviceList></device></deviceList></device></root>"""
ANSWER = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<u:GetExternalIPAddressResponse xmlns:u="{service}"><NewExternalIPAddress>{external}</NewExternalIPAddress>
</u:GetExternalIPAddressResponse></s:Body></s:Envelope>"""
DESCRIPTIONS = {
    "": DESCRIPTION,
    "bomb": '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">]><root>&lol;</root>',
    "huge": "<root>" + "<a/>" * 1_000_000 + "</root>",
    "broken": "this is <not XML",
    "redirect": "",
    "elsewhere": DESCRIPTION,
}


def serve(address: str, external: str, variant: str = "") -> tuple[ThreadingHTTPServer, socket.socket]:
    """Answer at an address from now on; return what is to be closed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if variant == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
            else:
                self.say(DESCRIPTIONS[variant])

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.say(ANSWER.format(service=SERVICE, external=external))

        def say(self, text: str) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked has read enough
                self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    where = "192.0.2.1" if variant == "elsewhere" else address
    location = f"http://{where}:{web.server_address[1]}/description.xml"
    search = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    search.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    search.bind(("", PORT))
    membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(address))
    search.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    threading.Thread(target=answer, args=(search, location), daemon=True).start()
    return web, search


def answer(search: socket.socket, location: str) -> None:
    """Answer every search."""
    while True:
        try:
            data, peer = search.recvfrom(2048)
        except OSError:
            return
        if data.startswith(b"M-SEARCH"):
            head = f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: {location}\r\nST: upnp\r\n\r\n"
            search.sendto(head.encode(), peer)


if __name__ == "__main__":
    serve(*sys.argv[1:])
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.read()
