"""/predict, /model, health and metrics of a real server; the tiny model's numbers are computed by hand."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import httpx
import pytest
from service import BLACK, BLUE, RED, Service, text

# Logits are 20 * mean colour: blue has (0, 4, 20), black 0. The threshold is -10.5.
BLUE_SUM = math.exp(20) + math.exp(4) + 1
EXPECTED = [
    ("red", "red", math.exp(20) / (math.exp(20) + 2), -math.log(math.exp(20) + 2), False),
    ("unknown", "red", 1 / 3, -math.log(3), True),
    ("blue", "blue", math.exp(20) / BLUE_SUM, -math.log(BLUE_SUM), False),
]


def check(answer: httpx.Response, tiny: Path) -> None:
    assert answer.status_code == 200
    content = answer.json()
    version = hashlib.sha256((tiny / "model.onnx").read_bytes()).hexdigest()[:12]
    assert (content["model"], content["version"]) == ("croft", version)
    assert (answer.headers["x-croft-model"], answer.headers["x-croft-version"]) == ("croft", version)
    assert content["request"] == answer.headers["x-request-id"]
    for found, (label, class_, probability, score, unknown) in zip(content["predictions"], EXPECTED, strict=True):
        assert (found["label"], found["class"], found["unknown"]) == (label, class_, unknown)
        assert found["probability"] == pytest.approx(probability, rel=1e-5)
        assert found["score"] == pytest.approx(score, rel=1e-5)
        assert (found["threshold"], found["error"]) == (-10.5, None)


def test_a_form_json_and_single_images_have_the_same_answers(client: httpx.Client, tiny: Path) -> None:
    images = [RED, BLACK, BLUE]
    names = ["../../etc/passwd", "a.png", "\u202e\r\n.exe"]
    form = client.post("/predict", files=[("images", (name, image)) for name, image in zip(names, images, strict=True)])
    check(form, tiny)
    check(client.post("/predict", json={"images": [text(image) for image in images]}), tiny)
    urls = [f"data:image/png;base64,{text(image)}" for image in images]
    check(client.post("/predict", json={"images": urls}), tiny)
    alone = [client.post("/predict", content=image, headers={"Content-Type": "image/png"}) for image in images]
    assert [one.json()["predictions"][0] for one in alone] == form.json()["predictions"]
    assert "passwd" not in form.text


def test_top_lists_classes_by_probability(client: httpx.Client) -> None:
    def top(count: int | None) -> list[str]:
        answer = client.post("/predict", params={} if count is None else {"top": count}, json={"images": [text(BLUE)]})
        return [entry["class"] for entry in answer.json()["predictions"][0]["top"]]

    assert [top(0), top(1), top(2), top(None)] == [[], ["blue"], ["blue", "green"], ["blue", "green", "red"]]
    assert client.post("/predict?top=-1", json={"images": [text(BLUE)]}).status_code == 422


def test_a_bad_image_has_an_error_and_the_others_their_answers(client: httpx.Client) -> None:
    large = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    sent = [text(RED), "photo.png", text(large), text(BLACK)]
    done = client.post("/predict", json={"images": sent}).json()["predictions"]
    assert [one["label"] for one in done] == ["red", None, None, "unknown"]
    assert done[1]["error"].startswith("image 1: 'photo.png' is neither base64 text of an image")
    assert done[2]["error"].startswith("image 2: ")
    assert {value for key, value in done[1].items() if key != "error"} == {None}


def test_an_embedding_that_the_graph_lacks_is_left_out(client: httpx.Client) -> None:
    done = client.post("/predict?embedding=true", json={"images": [text(RED)]}).json()["predictions"][0]
    assert "embedding" not in done


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"json": {"images": []}}, 400, "at least one"),
        ({"json": {"images": "text"}}, 400, "body: expected"),
        ({"json": {"images": [7]}}, 400, "images: expected base64 texts"),
        ({"json": {"images": ["x"], "path": "/etc/passwd"}}, 400, "body: expected"),
        ({"json": [1]}, 400, "expected a JSON object, found list"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b"[" * 99_000, "headers": {"Content-Type": "application/json"}}, 400, "nested too deeply"),
        ({"content": b"[]" + b",[]" * 99_990, "headers": {"Content-Type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b"\xff{}", "headers": {"Content-Type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b"1" * 9999, "headers": {"Content-Type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b'{"images": NaN}', "headers": {"Content-Type": "application/json"}}, 400, "NaN"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "content-type: expected"),
        ({"content": b"x", "headers": {"Content-Encoding": "gzip"}}, 415, "content-encoding"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "with a boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "damaged form"),
        ({"content": b"--b--", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "one file called"),
        ({"json": {"images": ["x"] * 65}}, 400, "images: 65, more than the 64"),
        ({"files": [("images", b"x")] * 65}, 400, "more than the 64"),
        ({"files": [("image", b"x")]}, 400, "one file called images"),
        ({"files": [("images", b"x")], "data": {"images": "x"}}, 400, "one file called images"),
        ({"content": bytes(300_001)}, 413, "larger than 300000 bytes"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    client: httpx.Client, request_: dict[str, object], status: int, message: str
) -> None:
    answer = client.post("/predict", **request_)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert message in answer.json()["error"]


def test_paths_and_methods_that_do_not_exist(client: httpx.Client) -> None:
    assert client.get("/nowhere").json() == {"error": "no such path"}
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    wrong = client.get("/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json() == {"error": "this path does not have that method"}
    assert "server" not in wrong.headers


def test_health_model_and_metrics(client: httpx.Client, running: Service, tiny: Path) -> None:
    assert client.get("/healthz").json() == {"live": True}
    assert client.get("/readyz").json() == {"ready": True}
    facts = client.get("/model").json()
    assert facts["graph_sha256"] == hashlib.sha256((tiny / "model.onnx").read_bytes()).hexdigest()
    assert (facts["classes"], facts["threshold"], facts["image_size"]) == (["red", "green", "blue"], -10.5, 8)
    assert (facts["card"]["sha256"], facts["device"]) == ({"manifest": "m" * 64}, "cpu")
    before = running.metric("croft_images_total")
    client.post("/predict", json={"images": [text(RED), text(BLACK), "x"]})
    assert running.metric("croft_images_total") == before + 3
    page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    version = facts["version"]
    assert f'croft_model_info{{name="croft",version="{version}"}} 1.0' in page.text
    for outcome in ("known", "unknown", "error"):
        assert f'croft_images_total{{outcome="{outcome}",version="{version}"}}' in page.text
    assert "croft_queue_images 0.0" in page.text
    for name in ("croft_request_seconds_bucket", "croft_batch_images_bucket", "croft_requests_total"):
        assert name in page.text


def test_the_page_loads_nothing_else(client: httpx.Client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert client.get("/openapi.json").json()["info"]["title"] == "croft serve"
