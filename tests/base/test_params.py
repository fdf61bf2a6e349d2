"""params.yaml: every wrong key or value is named, and the shipped file is valid."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ParamsError
from pipeline.methods.settings import check_methods, method_options
from pipeline.params import Params, load_params, parse_params, read_text
from pipeline.params.yaml_text import dump_yaml, parse_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(path: str, value: object) -> dict:
    content = copy.deepcopy(SHIPPED)
    *parents, last = path.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    return content


def test_shipped_file_is_valid_and_names_every_knob():
    params = load_params(ROOT / "params.yaml")
    assert params.data.unknown == ("seven", "eight", "nine")
    for name, field in Params.model_fields.items():
        section = field.alias or name
        known = set(type(getattr(params, name)).model_fields) - {"train"}  # `train` is for methods only
        assert set(SHIPPED[section]) == known


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("finetune.lamda_1", 3.0, "unknown key 'finetune.lamda_1'; did you mean 'lambda_1'?"),
        ("splt", {}, "unknown key 'splt'; did you mean 'split'?"),
        ("zzz", 1, "unknown key 'zzz'; known keys: compute, data,"),
        ("split.shots", "16", "split.shots: Input should be a valid integer, found '16'"),
        ("split.shots", 0, "split.shots: Input should be greater than or equal to 1"),
        ("split.shots_per", "domain", "split.shots_per: Input should be 'class_and_domain' or 'class', found 'domain'"),
        ("featurize.views", -1, "featurize.views: Input should be greater than or equal to 0"),
        ("split.seeds", [1, 1], "split.seeds: expected at least one, all different"),
        ("split.seeds", [], "split.seeds: expected at least one"),
        ("compute.device", "gpu", "compute.device: Input should be 'auto', 'cuda' or 'cpu'"),
        ("finetune.ratio_image", 1.5, "finetune.ratio_image: Input should be less than or equal to 1"),
        ("finetune.lambda_1", float("nan"), "finetune.lambda_1"),
        ("finetune.methods", {}, "finetune.methods: expected at least one method"),
        ("finetune.methods", {"zero-shot": {}, "croft": {"lamda_2": 1.0}}, "did you mean 'lambda_2'?"),
        ("export.method", "nothing", "export.method: 'nothing' is not 'auto' and not one of finetune.methods"),
        ("backbone.prompts", ["a photo"], "must contain the placeholder {} exactly once"),
        ("data", None, "data"),
    ],
)
def test_wrong_keys_and_values_are_named(path, value, message):
    with pytest.raises(ParamsError) as caught:
        check_methods(parse_params(changed(path, value), "params.yaml"), "params.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("params.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_missing_section_is_named():
    content = copy.deepcopy(SHIPPED)
    del content["data"]
    with pytest.raises(ParamsError, match="missing key 'data'"):
        parse_params(content)


def test_method_overrides_replace_shared_settings():
    params = parse_params(changed("finetune.methods", {"croft": {}, "half": {"ratio_image": 0.5}}))
    assert method_options(params.finetune, "half").ratio_image == 0.5
    assert method_options(params.finetune, "croft").ratio_image == SHIPPED["finetune"]["ratio_image"]
    assert not hasattr(method_options(params.finetune, "croft"), "methods")


def test_the_score_of_words_needs_words():
    with pytest.raises(ParamsError, match=r"export\.score: neglabel needs backbone\.words"):
        parse_params(changed("export.score", "neglabel"))
    content = changed("export.score", "neglabel")
    content["backbone"]["words"] = ["tree"]
    assert parse_params(content).backbone.words == ("tree",)


def test_values_are_frozen():
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(Exception, match="frozen"):
        params.split.shots = 3


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "", "!!python/object/apply:os.system ['true']"])
def test_files_that_are_no_mapping_are_refused(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(file)


def test_a_missing_file_says_where_to_go(tmp_path):
    with pytest.raises(ParamsError, match="no such file; run this in the project's folder or below it"):
        load_params(tmp_path / "params.yaml")


NUMBERS = ["1e-3", "1E5", "1.5e3", "-1e-05", "1e+20", "2.e-1", "1_0e2", "5.0e-4", "0.002"]


@pytest.mark.parametrize("spelling", NUMBERS)
def test_a_number_is_read_as_dvc_reads_it(spelling):
    """What DVC records in dvc.lock (YAML 1.2) and what a stage computes with must be the same value."""
    from dvc.utils.serialize import loads_yaml

    content = parse_yaml(f"[{spelling}, {{lr: {spelling}}}]")
    assert content == loads_yaml(f"[{spelling}, {{lr: {spelling}}}]")
    assert content == [float(spelling), {"lr": float(spelling)}]


@pytest.mark.parametrize("text", ["e3", "1e", "1e-", "n01", "1-3", "1e3x", "'1e-3'", '"1e-3"'])
def test_a_text_stays_a_text(text):
    assert parse_yaml(text) == text.strip("'\"")


@pytest.mark.parametrize("text", ["1e3", "-1E5", ".5e3", "1e-05", "null", "no", "12"])
def test_a_text_that_looks_like_another_value_is_written_with_quotes(text):
    assert parse_yaml(dump_yaml({"names": [text], text: 1e-05})) == {"names": [text], text: 1e-05}


def test_an_exponent_without_a_point_is_a_number_in_every_section(tmp_path):
    file = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text().replace("lr: 0.05 ", "lr: 1e-3 ").replace("lr: 0.001,", "lr: 2e-3,")
    file.write_text(text.replace("lambda_1: [1.0, 5.0,", "lambda_1: [1e0, 5e0,"))
    params = check_methods(load_params(file))
    assert params.finetune.lr == 0.001
    assert method_options(params.finetune, "croft").lr == 0.001
    assert method_options(params.finetune, "tip-adapter-f").lr == 0.002
    assert params.sweep.axes["lambda_1"][:2] == (1.0, 5.0)


def test_a_byte_order_mark_is_read_over(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + (ROOT / "params.yaml").read_bytes())
    assert load_params(file) == load_params(ROOT / "params.yaml")
    assert not read_text(file).startswith("\ufeff")


def test_utf_16_is_named_with_the_command_that_converts_it(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text(), encoding="utf-16")
    with pytest.raises(ParamsError, match=r"params\.yaml: UTF-16 text; DVC reads UTF-8 only: convert it with `iconv "):
        load_params(file)


@pytest.mark.parametrize("value", [None, False, 7])
def test_a_name_that_yaml_reads_as_another_value_needs_quotes(value):
    with pytest.raises(ParamsError, match=r"data\.unknown\.0: .*, found (None|False|7); a name that .* needs quotes"):
        parse_params(changed("data.unknown", [value]))
