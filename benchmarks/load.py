"""Clients of an HTTP server: each sends one request after another on a connection of its own."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple
from urllib.parse import urlsplit


class Load(NamedTuple):
    """Answers a second, and the 99th percentile of their times in seconds."""

    rate: float
    p99: float


async def load(url: str, body: bytes, *, clients: int, seconds: float) -> Load:
    """Send `body` as JSON from so many clients for so long; what is answered in the first fifth does not count.

    Raises:
        RuntimeError: an answer is not 200.
    """
    target = urlsplit(url)
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    begin = time.perf_counter()
    times: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        try:
            while (sent := time.perf_counter()) < begin + seconds:
                writer.write(request)
                answer = await reader.readuntil(b"\r\n\r\n")
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(answer.decode(errors="replace"))
                await reader.readexactly(_length(answer))
                if sent > begin + seconds / 5:
                    times.append(time.perf_counter() - sent)
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    spent = time.perf_counter() - begin - seconds / 5
    return Load(len(times) / spent, sorted(times)[int(0.99 * len(times))] if times else float("nan"))


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return int(next(value for name, _, value in lines if name.lower() == b"content-length"))
