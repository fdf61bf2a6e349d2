"""What DVC prints, read back; the order in which a run visits stages."""

from __future__ import annotations

import pytest

from pipeline.dvc_runner.graph import Graph, is_input, label, parse_dot, parse_status
from pipeline.errors import ParamsError, PipelineError

# Written by dvc 3.67 for a project whose stage `clean` reads the output of `data/dvc.yaml:digits` and of a .dvc file.
DOT = """strict digraph {
"clean";
"train";
"idle";
"data/dvc.yaml:digits";
"data/extra.dvc";
"data/dvc.yaml:digits" -> "clean";
"data/extra.dvc" -> "clean";
"clean" -> "train";
}
"""


def test_the_graph_is_read_from_what_dvc_prints() -> None:
    graph = parse_dot(DOT)
    assert graph.needs == {
        "clean": ("data/dvc.yaml:digits", "data/extra.dvc"),
        "train": ("clean",),
        "idle": (),
        "data/dvc.yaml:digits": (),
        "data/extra.dvc": (),
    }


def test_without_targets_the_root_s_stages_and_what_they_need_are_visited_in_order() -> None:
    assert parse_dot(DOT).order() == ["data/dvc.yaml:digits", "data/extra.dvc", "clean", "train", "idle"]
    # As for `dvc repro`: a stage of another folder that nothing in the root needs is left alone.
    assert Graph({"a": (), "sub/dvc.yaml:b": (), "x.dvc": ()}).order() == ["a"]


def test_a_target_brings_what_it_needs_once() -> None:
    diamond = Graph({"d": ("b", "c"), "b": ("a",), "c": ("a",), "a": (), "e": ("d",)})
    assert diamond.order(["d"]) == ["a", "b", "c", "d"]
    assert diamond.order(["c", "d"]) == ["a", "c", "b", "d"]


def test_a_long_chain_of_diamonds_is_ordered_at_once() -> None:
    needs: dict[str, tuple[str, ...]] = {"0": ()}
    for n in range(1, 60):  # 2^59 paths lead from the last to the first
        needs |= {f"{n}l": (f"{n - 1}",), f"{n}r": (f"{n - 1}",), f"{n}": (f"{n}l", f"{n}r")}
    assert len(Graph(needs).order(["59"])) == 1 + 3 * 59


def test_targets_are_found_by_name_and_a_wrong_one_is_named_with_its_nearest() -> None:
    graph = parse_dot(DOT)
    assert graph.find("digits") == "data/dvc.yaml:digits"
    assert graph.find("data/extra.dvc") == "data/extra.dvc"
    with pytest.raises(ParamsError, match="no stage 'trian'; did you mean 'train'"):
        graph.order(["trian"])
    with pytest.raises(ParamsError, match=r"ambiguous; expected one of x/dvc\.yaml:a, y/dvc\.yaml:a"):
        Graph({"x/dvc.yaml:a": (), "y/dvc.yaml:a": ()}).find("a")


def test_labels() -> None:
    names = ["data/dvc.yaml:digits", "train", "data/extra.dvc"]
    assert [label(name) for name in names] == ["digits", "train", "data/extra.dvc"]
    assert is_input("data/extra.dvc")
    assert not is_input("train")


def test_the_status_is_read_with_dvc_s_words() -> None:
    text = (
        '{"one": [{"changed deps": {"params.yaml": {"a": "modified"}}}, "changed command"],'
        ' "x.dvc": [{"changed outs": {"x": "deleted"}}], "two": ["always changed"]}'
    )
    assert parse_status(text) == {
        "one": "changed deps params.yaml a modified changed command",
        "x.dvc": "changed outs x deleted",
        "two": "always changed",
    }
    assert parse_status("{}") == {}


@pytest.mark.parametrize("text", ["", "[]", "There are no data or pipelines tracked in this project yet."])
def test_other_output_is_an_error(text: str) -> None:
    with pytest.raises(PipelineError, match="dvc status"):
        parse_status(text)
    with pytest.raises(PipelineError, match="dvc dag"):
        parse_dot(text)
