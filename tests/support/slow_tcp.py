"""A way to a port that takes its time: `python slow_tcp.py PORT DELAY JITTER` prints its own port and forwards.

DELAY and JITTER are milliseconds each way; bytes come later and in lumps, but in order. It ends with its input.
"""

from __future__ import annotations

import asyncio
import random
import sys

HOST = "127.0.0.1"


async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, jitter: float) -> None:
    """Pass on what comes, each piece after its delay, none before the one that came before it."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            writer.write(data)
        writer.close()

    delivery = loop.create_task(deliver())
    due = 0.0
    while True:
        try:
            data = await reader.read(65536)
        except ConnectionError:
            data = b""
        due = max(due, loop.time() + delay + random.random() * jitter)
        pieces.put_nowait((due, data))
        if not data:
            break
    await delivery


async def main(port: int, delay: float, jitter: float) -> None:
    """Serve until standard input ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(slowly(reader, back, delay, jitter), slowly(there, writer, delay, jitter))

    server = await asyncio.start_server(serve, HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3]) / 1000))
