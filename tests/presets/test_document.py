"""Edits of params.yaml: what is not edited keeps its bytes, what is edited is read by PyYAML as what was meant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.presets.document import Document
from pipeline.cli.presets.spelling import spell

SHIPPED = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8")


def round_trip(text: str) -> str:
    """The text as it is written anew for a section at its end, without that section."""
    document = Document(text, "params.yaml")
    document.set("section_of_a_test", "key", 1, "")
    written = document.text()
    head, _, tail = written.partition("section_of_a_test:\n")
    assert tail.strip() == "key: 1"
    return head


def test_the_shipped_file_survives_a_round_trip_to_the_byte() -> None:
    assert round_trip(SHIPPED) == f"{SHIPPED}\n"


@pytest.mark.parametrize(
    "value",
    ["null", "~", "", "1e-5", "1e-05", "1.0e-05", "0.00001", "010", "0x1F", "1_000", "+1", "12:30", "yes", "Off",
     "TRUE", ".inf", "-.INF", ".nan", "2026-11-25", "'1'", '"a\\tb"', "text:x", "[a, 1e-5, ~]", "{a: 1}"],
)  # fmt: skip
def test_every_value_keeps_its_spelling(value: str) -> None:
    text = f"a:\n  key: {value}".rstrip() + "   # kept\n"
    assert round_trip(text) == f"{text}\n"


@pytest.mark.parametrize(
    "text",
    [
        "---\na:\n  b: 1\n",
        "# top\n\na:   # of a\n\n  # of b\n  b: 1\n  # below b\n\n\n# of c\nc: {}\n# end\n",
        "a:\n    b: 1\n    c:\n        d: [1, 2]  # x\n",
        'a:\n  b:\n    - "x # no comment"\n    - y  # a comment\n'
        "  c: |\n    two\n    lines\n\n  d: >-\n    folded\n    text\n  e: 1\n",
        f"a:\n  b: {'long ' * 100}end\n  c: [{', '.join(map(str, range(200)))}]\n",
    ],
)
def test_comments_order_and_layout_survive(text: str) -> None:
    assert round_trip(text) == f"{text}\n"


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_a_float_is_read_back_as_itself(value: float) -> None:
    """PyYAML reads `1e-05`, which Python writes, as text."""
    document = Document("a:\n  b: 1  # note\n", "params.yaml")
    document.set("a", "b", value, "note")
    again = yaml.safe_load(document.text())["a"]["b"]
    assert type(again) is float
    assert math.copysign(1, again) == math.copysign(1, value)
    assert again == value
    assert document.text().rstrip().endswith("# note")


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))


@settings(deadline=None)
@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc /-_.", min_size=1), inner)))
def test_any_value_is_read_back_as_itself(value: Any) -> None:
    document = Document(SHIPPED, "params.yaml")
    document.set("split", "targets", value, "a note")
    content = yaml.safe_load(SHIPPED)
    content["split"]["targets"] = value
    assert yaml.safe_load(document.text()) == content == document.values
    assert yaml.safe_load(f"[{spell(value)}]") == [value]


def test_an_edit_moves_no_line_but_its_own() -> None:
    document = Document(SHIPPED, "params.yaml")
    document.set("backbone", "class_names", {"red_fox": "red fox", "owl": "owl"}, "names")
    document.set("data", "fatal", ["complete"], "stops")
    document.set("sweep", "axes", {}, document.comment("sweep", "axes"))
    lines = document.text().splitlines()
    rest = [line for line in lines if line in SHIPPED.splitlines()]
    assert [line for line in lines if line not in rest] == [
        "  fatal: [complete]            # stops",
        "  class_names:                 # names",
        '    red_fox: "red fox"',
        "    owl: owl",
        "  axes: {}                     # every combination is trained; the paper's grid",
    ]
    gone = set(SHIPPED.splitlines()) - set(rest)
    assert {line.split("#")[0].strip().split(":")[0] for line in gone} == {
        "fatal", "class_names", "axes", "lambda_1", "lambda_2", *(f"- {name}" for name in CHECKS)
    }  # fmt: skip


CHECKS = yaml.safe_load(SHIPPED)["data"]["fatal"]
