"""Prefect's API of a run: it is on our own loopback address, and no proxy lies between."""

from __future__ import annotations

import os
import socketserver
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipeline.flows.server import API_VARIABLE, HOME_VARIABLE, start_api


class Proxy(socketserver.ThreadingTCPServer):
    """Notes the first line of each request and refuses it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refuse)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Refuse(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode().strip())
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_no_proxy_is_asked_for_our_own_address_and_one_is_for_others(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (API_VARIABLE, "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "")  # put back afterwards, whatever the code under test sets
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "prefect"))
    api = start_api(tmp_path)
    assert api is not None
    try:
        api.wait()
        with httpx.Client() as client:  # what Prefect speaks with
            assert client.get(f"{api.url}/health").json() is True
            assert proxy.asked == []
            assert client.get("http://tracking.invalid:5000/health").status_code == 502
        with pytest.raises(urllib.error.HTTPError, match="502"):
            urllib.request.build_opener().open("http://tracking.invalid:5000/health", timeout=10)
        assert proxy.asked == ["GET http://tracking.invalid:5000/health HTTP/1.1"] * 2
        listed = os.environ["NO_PROXY"].split(",")
        assert listed == ["localhost", api.url.removeprefix("http://").removesuffix("/api")]
    finally:
        api.stop()
