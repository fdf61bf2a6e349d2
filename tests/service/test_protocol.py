"""The Open Inference Protocol, as Triton's own client speaks it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from service import BLACK, RED, Service, text


@pytest.fixture
def triton(running: Service) -> Iterator[Any]:
    with warnings.catch_warnings(action="ignore"):  # of gevent, on import
        from tritonclient.http import InferenceServerClient

        client = InferenceServerClient(f"127.0.0.1:{running.port}")
        yield client
        client.close()


def test_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("croft")
    assert not triton.is_model_ready("croft", "99")
    assert not triton.is_model_ready("other")
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    facts = triton.get_model_metadata("croft")
    (images,) = facts["inputs"]
    assert (images["name"], images["datatype"], images["shape"]) == ("images", "BYTES", [-1])
    assert images["parameters"] == {"also": "UINT8 [-1, -1, -1, 3]"}
    assert {output["name"] for output in facts["outputs"]} >= {"label", "score", "unknown", "probabilities"}
    assert triton.get_model_metadata("croft", facts["versions"][0]) == facts


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("datatype", ["BYTES", "UINT8"])
def test_infer(triton: Any, datatype: str, binary_in: bool, binary_out: bool) -> None:
    from tritonclient.http import InferInput, InferRequestedOutput

    if datatype == "UINT8":
        array = np.zeros((2, 9, 12, 3), np.uint8)
        array[0, :, :, 0] = 255
    else:
        array = np.array([RED, BLACK] if binary_in else [text(RED).encode(), text(BLACK).encode()], object)
    given = InferInput("images", list(array.shape), datatype).set_data_from_numpy(array, binary_data=binary_in)
    names = ["probabilities", "unknown", "label", "score"]
    asked = [InferRequestedOutput(name, binary_data=binary_out) for name in names]
    done = triton.infer("croft", [given], outputs=asked, request_id="seven")
    assert [output["name"] for output in done.get_response()["outputs"]] == names
    assert done.get_response()["id"] == "seven"
    assert done.as_numpy("label").tolist() == ([b"red", b"unknown"] if binary_out else ["red", "unknown"])
    assert done.as_numpy("unknown").tolist() == [False, True]
    np.testing.assert_allclose(done.as_numpy("score"), [-np.log(np.exp(20) + 2), -np.log(3)], rtol=1e-5)
    np.testing.assert_allclose(done.as_numpy("probabilities")[1], [1 / 3] * 3, rtol=1e-6)


def test_all_outputs_come_unless_some_are_asked_for_and_base64_also_as_binary_data(triton: Any) -> None:
    from tritonclient.http import InferInput

    given = InferInput("images", [1], "BYTES").set_data_from_numpy(np.array([text(RED).encode()], object))
    version = triton.get_model_metadata("croft")["versions"][0]
    done = triton.infer("croft", [given], model_version=version)
    assert done.as_numpy("class").tolist() == [b"red"]
    assert len(done.get_response()["outputs"]) == 6
    assert done.get_response()["model_version"] == version


def tensor(**changes: object) -> dict[str, object]:
    return {"name": "images", "datatype": "BYTES", "shape": [1], "data": [text(RED)], **changes}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "inputs: expected a list of one tensor"),
        ({"inputs": [tensor(), tensor()]}, "inputs: expected a list of one tensor"),
        ({"inputs": [tensor(name="x")]}, "a tensor called images"),
        ({"inputs": [tensor(datatype="FP32")]}, "expected BYTES of shape [N] or UINT8"),
        ({"inputs": [tensor(shape=[2])]}, "expected 2 base64 texts"),
        ({"inputs": [tensor(shape=[-1])]}, "inputs.shape"),
        ({"inputs": [tensor(shape=[True])]}, "inputs.shape"),
        ({"inputs": [tensor(data=["nonsense"])]}, "image 0: 'nonsense'"),
        ({"inputs": [tensor(datatype="UINT8", shape=[1, 1, 1, 3], data=[1, 2, 256])]}, "from 0 to 255"),
        ({"inputs": [tensor(datatype="UINT8", shape=[1, 1, 1, 3], data=[[[[1, 2]]]])]}, "expected 3 numbers"),
        ({"inputs": [tensor(datatype="UINT8", shape=[1, 9, 9, 3], data=None)]}, "expected 243 numbers"),
        ({"inputs": [tensor(parameters={"binary_data_size": 3})]}, "binary_data_size"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "x"})]}, "shared memory"),
        ({"inputs": [tensor()], "outputs": [{"name": "x"}]}, "outputs.name: expected some of label"),
        ({"inputs": [tensor()], "outputs": [{"name": "label"}] * 2}, "listed twice"),
        ({"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification"),
        ({"inputs": [tensor()], "id": 7}, "id: expected a text"),
        ({"inputs": [tensor()], "path": "x"}, "unknown key 'path'"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(client: httpx.Client, body: object, message: str) -> None:
    answer = client.post("/v2/models/croft/infer", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_nested_data_and_an_id_that_is_no_unicode_text(client: httpx.Client) -> None:
    nested = tensor(datatype="UINT8", shape=[1, 1, 2, 3], data=[[[[255, 0, 0], [255, 0, 0]]]])
    answer = client.post("/v2/models/croft/infer", content=json.dumps({"id": "\ud800", "inputs": [nested]}))
    assert answer.json()["id"] == "\ud800"
    assert answer.json()["outputs"][0]["data"] == ["red"]


@pytest.mark.parametrize("length", ["-1", "x", "999999", "9" * 5000])
def test_a_wrong_length_of_the_json_part(client: httpx.Client, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post("/v2/models/croft/infer", content=b"{}", headers=headers)
    assert answer.status_code == 400
