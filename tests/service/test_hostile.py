"""Requests that mean harm: none of them crashes the server, none has a 5xx but 503, and memory stays bounded."""

from __future__ import annotations

import contextlib
import io
import json
import random
import socket
import struct
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest
from service import RED, Service, service, text

MEMORY = 400e6  # bytes that the server may grow by; its limit for bodies is 8 x 300 kB


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels, all zero, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BOMB = bomb(12_000)


def jpeg() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (60, 40), (9, 200, 30)).save(stream, "JPEG")
    return stream.getvalue()


JPEG = jpeg()
VALID = {"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": [text(RED)]}]}


def hostile(draw: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path, headers and body of one request."""
    path = draw.choice(["/predict", "/predict", "/v2/models/croft/infer", "/v2/models/croft/versions/1/infer"])
    kind = draw.choice(["application/json", "multipart/form-data; boundary=b", "application/octet-stream", "x/y", ""])
    valid = json.dumps(VALID if "infer" in path else {"images": [text(RED)]}).encode()
    cut = draw.randrange(1, len(valid))
    image = draw.choice([RED, JPEG, BOMB])
    damaged = bytearray(image)
    for _ in range(draw.randrange(1, 9)):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    name = draw.choice(["../../etc/passwd", "/etc/passwd", "a\0b", "%2e%2e/x", "C:\\x", "\u202e" * 50, '"; x="'])
    form = b'--b\r\nContent-Disposition: form-data; name="images"; filename="' + name.encode() + b'"\r\n\r\n'
    bodies = [
        valid[:cut],
        valid[:cut] + bytes([draw.randrange(256)]) + valid[cut + 1 :],
        b"[" * draw.randrange(1, 200_000),
        b'{"images":' * draw.randrange(1, 20_000),
        b'{"images": ["' + draw.choice([b"!", b"=", b"A", b"\\u0000", b"\\ud800", b"/etc/passwd"]) * 3 + b'"]}',
        json.dumps({"images": draw.choice([None, 1, {}, [[]], [None], "x", [{"b64": "x"}]])}).encode(),
        json.dumps(
            {"inputs": draw.choice([1, [1], [{}], [{"name": "images", "shape": [10**9], "data": []}]])}
        ).encode(),
        json.dumps({"images": [text(bytes(damaged))] * draw.randrange(1, 4)}).encode(),
        bytes(damaged),
        image[: draw.randrange(len(image))],
        BOMB,
        bytes(draw.choice([0, 1, 299_999, 300_001, 600_000])),
        form + image + b"\r\n--b--\r\n",
        form + image[: draw.randrange(len(image))],
        b"--b\r\n" * draw.randrange(1, 2000),
        b"--b\r\n" + b"X: " + b"y" * draw.randrange(9000) + b"\r\n\r\nz\r\n--b--",
        draw.randbytes(draw.randrange(1, 3000)),
    ]
    headers = {"Content-Type": kind} if kind else {}
    if draw.random() < 0.2:
        headers["Inference-Header-Content-Length"] = draw.choice(["0", "5", "-3", "1e3", "99999999999", "\xb2"])
    if draw.random() < 0.05:
        headers["Content-Encoding"] = draw.choice(["gzip", "br", "identity"])
    if draw.random() < 0.1:
        path += draw.choice(["?top=-1", "?top=1e9", "?top=" + "9" * 5000, "?embedding=maybe", "?%00=%ff", "/../x"])
    return draw.choice(["POST"] * 9 + ["PUT"]), path, headers, draw.choice(bodies)


def attack(running: Service, count: int, seed: int) -> None:
    """Send `count` requests, and now and then a good one, which must be answered."""
    draw, process = random.Random(seed), psutil.Process(running.process.pid)
    before = process.memory_info().rss
    statuses: dict[int, int] = {}
    with running.client() as client:
        for number in range(count):
            method, path, headers, body = hostile(draw)
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            answer = client.request(method, path, headers=raw, content=body)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code < 500 or answer.status_code == 503, (path, headers, body[:200], answer.text)
            if answer.status_code >= 400:
                assert set(answer.json()) == {"error"}
                assert "root:" not in answer.text
            if number % 100 == 0:
                good = client.post("/predict", json={"images": [text(RED)]})
                assert good.json()["predictions"][0]["label"] == "red"
    assert running.process.poll() is None
    assert {200, 400, 404, 413, 415, 422} <= set(statuses)
    assert process.memory_info().rss - before < MEMORY
    assert "Traceback" not in running.errors.read_text()


def test_hundreds_of_hostile_requests(running: Service) -> None:
    attack(running, 500, seed=1)


@pytest.mark.slow
def test_ten_thousand_hostile_requests(running: Service) -> None:
    attack(running, 10_000, seed=2)


def said(running: Service, *pieces: bytes, pause: float = 0.0, seconds: float = 10.0) -> bytes:
    """What the server says to raw bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=seconds) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except ConnectionResetError:
            pass
    return found


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def test_slow_and_broken_connections_end(running: Service) -> None:
    started = time.monotonic()
    slow = said(running, head("Content-Length: 50"), b"a")  # the rest never comes; the timeout is 2 s
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 seconds" in slow
    assert said(running, b"POST /predict HTTP/1.1\r\nX: ") == b""  # a head that never ends
    assert said(running) == b""  # a connection that says nothing
    assert 6.0 <= time.monotonic() - started < 20.0
    assert said(running, b"NONSENSE\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert said(running, head("X: " + "y" * 70_000)).startswith(b"HTTP/1.1 400 ")
    assert said(running, head("Content-Length: -5")).startswith(b"HTTP/1.1 400 ")
    assert said(running, head("Content-Length: 5", "Transfer-Encoding: chunked")).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_refused_before_it_is_read_whole(running: Service) -> None:
    piece = b"10000\r\n" + bytes(65536) + b"\r\n"
    found = said(running, head("Transfer-Encoding: chunked"), *[piece] * 6)  # 393 kB of an endless body
    assert found.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_leaves_nothing_behind(running: Service) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(head("Content-Type: image/png", f"Content-Length: {len(RED)}") + RED)
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(head("Content-Length: 999") + b"x")
    time.sleep(0.5)
    assert running.metric("croft_queue_images") == 0
    assert "Traceback" not in running.errors.read_text()


def test_a_full_queue_is_a_503_that_says_when_to_come_back(tiny: Path, tmp_path: Path) -> None:
    with service(tiny, tmp_path, "--queue", "2") as running, running.client() as client:
        assert client.post("/predict", json={"images": [text(RED)] * 2}).status_code == 200
        assert client.post("/predict", json={"images": [text(RED)] * 3}).status_code == 400  # never fits
        slow = bomb(6_000)  # 36 megapixels, allowed here: decoding takes a while
        statuses = _at_once(running, slow, 12)
        assert set(statuses) == {200, 503}
        assert running.metric("croft_queue_images") == 0


def _at_once(running: Service, image: bytes, count: int) -> list[int]:
    from concurrent.futures import ThreadPoolExecutor

    def send(_: int) -> int:
        with running.client() as client:
            answer = client.post("/predict", content=image, headers={"Content-Type": "image/png"})
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            assert "queue is full" in answer.json()["error"]
        return answer.status_code

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def test_an_answer_that_takes_too_long_is_a_503(tiny: Path, tmp_path: Path) -> None:
    with service(tiny, tmp_path, "--timeout", "0.05") as running, running.client() as client:
        late = client.post("/predict", content=bomb(7_000), headers={"Content-Type": "image/png"})
        assert late.status_code == 503
        assert late.headers["retry-after"]
        assert "no answer within 0.05 seconds" in late.json()["error"]


def test_a_token_is_needed_where_there_is_one(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret-token\n")
    log = tmp_path / "log"
    with (
        service(tiny, tmp_path, "--token-file", str(file), "--log-to", str(log)) as running,
        running.client() as client,
    ):
        for path in ("/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200
        for path in ("/model", "/metrics", "/v2", "/v2/models/croft", "/openapi.json", "/nowhere"):
            assert client.get(path).status_code == 401
        for given in ("s3cret-token", "Bearer s3cret", "Bearer s3cret-token2", "Basic s3cret-token", "Bearer \xe9"):
            answer = client.post("/predict", content=RED, headers=[(b"Authorization", given.encode("latin-1"))])
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer s3cret-token", "Content-Type": "image/png"}
        assert client.post("/predict", content=RED, headers=right).status_code == 200
        assert running.stop() == 0
        assert "s3cret" not in running.errors.read_text() + running.line


def test_schemathesis_finds_nothing(running: Service) -> None:
    check_openapi(running, examples=15)


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_many_examples(running: Service) -> None:
    check_openapi(running, examples=200)


def check_openapi(running: Service, examples: int) -> None:
    with warnings.catch_warnings(action="ignore"):
        import schemathesis

        schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
        labels = set()
        for found in schema.get_all_operations():
            operation = found.ok()
            labels.add(operation.label)
            for mode in schemathesis.GenerationMode:
                conforms(operation, mode, examples)
    assert {"POST /predict", "POST /v2/models/{name}/infer", "GET /model", "GET /v2/health/ready"} <= labels
    assert "Traceback" not in running.errors.read_text()


def conforms(operation: Any, mode: Any, examples: int) -> None:
    """Requests that the document allows are accepted, others are refused, and answers are as it says."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable

    # OpenAPI cannot say that a tensor's data fits its shape.
    excluded = [schemathesis.checks.positive_data_acceptance] if "infer" in operation.path else []
    checks = list(HealthCheck)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=checks,
    )  # fmt: skip
    def conform(case: Any) -> None:
        case.call_and_validate(excluded_checks=excluded)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong in a request without parameters
        conform()
