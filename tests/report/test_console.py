"""The tables on the terminal, made of metrics.json alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from pipeline.console import LOG_WIDTH
from pipeline.report.console import print_metrics
from pipeline.report.wording import OPEN_SET
from pipeline.tables import IN_DISTRIBUTION


def printed(metrics: dict, width: int = LOG_WIDTH) -> str:
    file = io.StringIO()
    print_metrics(metrics, Console(file=file, width=width))
    return file.getvalue()


def test_a_summary_prints_as_its_file_does(summary) -> None:
    text = printed(summary)
    assert text == printed(json.loads(json.dumps(summary, sort_keys=True)))
    for word in ("plain", "tuned", "ink", "oil", "web", "mean", "AUROC", "FPR95, ID positive", "FPR95, OOD positive"):
        assert word in text


def test_cells_by_hand(metrics_of) -> None:
    text = printed(metrics_of({"a": 0.8414}, accuracy_spread=0.0062, auroc=0.5, auroc_spread=None))
    first, second = (line.split() for line in text.splitlines() if line.strip().startswith("a "))
    assert first == ["a", *["84.1", "±", "0.6"] * 4]  # three domains and the mean
    assert second == ["a", "50.0", "–", "–"]
    assert "3 seeds" in text


def test_best_method_comes_first_and_a_missing_one_last(metrics_of) -> None:
    text = printed(metrics_of({"low": 0.5, "none": None, "high": 0.9}))
    places = [text.index(f" {name} ") for name in ("high", "low", "none")]
    assert places == sorted(places)
    assert "–" in text


def test_fits_a_log_with_four_domains_and_long_names(metrics_of) -> None:
    domains = ("art_painting", "cartoon", "photograph", "sketch")
    text = printed(metrics_of({"adapters-with-generator": 1.0, "croft": 1.0}, domains, auroc=1.0, auroc_spread=0.1))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= LOG_WIDTH
    assert text.count("100.0 ± 1.0") == 10
    for name in (*domains, "adapters-with-generator"):
        assert name in text


def test_many_domains_continue_below(metrics_of) -> None:
    domains = tuple(f"domain-{i}" for i in range(9))
    text = printed(metrics_of({"croft": 0.5}, domains))
    assert text.count("Accuracy on the held-out domain") == 2
    assert text.index("domain-8") < text.index("mean")
    assert text.count("50.0 ± 1.0") == 10


def test_several_open_sets_have_a_column_each(metrics_of) -> None:
    mean, classes, tex = (dict.fromkeys(OPEN_SET, value) for value in (0.5, 0.25, 0.75))
    text = printed(metrics_of({"croft": 0.5}, **mean, open_sets={"classes": classes, "tex": tex}))
    assert "AUROC ↑ of each open set against known classes, %; mean over held-out domains" in text
    assert "FPR95, OOD positive ↓ of each open set" in text
    heads = [line.split() for line in text.splitlines() if "tex" in line]
    assert heads == [["method", "unknown", "classes", "tex", "mean"]] * 3
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("croft")]
    assert lines[1:] == [["croft", "25.0", "75.0", "50.0"]] * 3


def test_one_pool_alone_is_named(metrics_of) -> None:
    text = printed(metrics_of({"croft": 0.5}, auroc=0.5, open_sets={"tex": {"auroc": 0.5}}))
    assert "tex against known classes, %; mean over held-out domains" in text


def test_without_a_held_out_domain_no_sentence_speaks_of_one(metrics_of) -> None:
    text = printed(metrics_of({"croft": 0.5}, (IN_DISTRIBUTION,), auroc=0.5, open_sets={"classes": {"auroc": 0.5}}))
    assert "held-out" not in text
    assert "Accuracy on unseen images of the training domains, %" in text
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("croft")]
    assert lines[0] == ["croft", "50.0", "±", "1.0"]


def test_a_file_from_before_open_sets_were_nested_prints_its_means(metrics_of) -> None:
    text = printed(metrics_of({"croft": 0.5}, **{"auroc": 0.75, "auroc/classes": 0.6, "auroc/tex": 0.9}))
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("croft")]
    assert lines[1] == ["croft", "75.0", "–", "–"]


def test_says_so_where_there_is_no_unknown_class_and_where_there_is_nothing(metrics_of) -> None:
    assert "there is no unknown class" in printed(metrics_of({"croft": 0.5}))
    assert "No method was evaluated" in printed({})


def test_one_seed_is_printed_without_a_spread(metrics_of) -> None:
    text = printed(metrics_of({"croft": 0.5}, accuracy_spread=None, seeds=1))
    assert "one seed, so no spread" in text
    assert "±" not in text


def test_names_are_text_and_no_markup(metrics_of) -> None:
    assert "[red]ink[/]" in printed(metrics_of({"[bold]": 0.5}, ("[red]ink[/]",)))


@pytest.mark.parametrize("call", ["print_metrics({'m': {'a': {'accuracy': 0.5}, 'mean': {'accuracy': 0.5}}})"])
def test_needs_nothing_heavy_and_no_terminal(call: str) -> None:
    code = (
        f"from pipeline.report.console import *; {call}; import sys; "
        "print(sorted({'torch', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "50.0" in result.stdout
