from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pipeline.data.groups import group_counts

Rows = Callable[..., pd.DataFrame]


def counted(table: pd.DataFrame) -> dict[str, tuple[int, int, float]]:
    return {row["group"]: (row["images"], row["missing"], row["imbalance"]) for row in table.to_dict("records")}


def test_every_domain_needs_every_class(rows: Rows) -> None:
    manifest = rows([("ink", "ant", 6), ("ink", "bee", 3), ("oil", "ant", 2), ("ink", "owl", 1)])
    assert counted(group_counts(manifest, ["ant", "bee"], 4)) == {
        "ink/ant": (6, 0, 1.0),
        "ink/bee": (3, 1, 2.0),
        "oil/ant": (2, 2, 1.0),
        "oil/bee": (0, 4, 2.0),
        "ink/(unknown classes)": (1, 0, 1.0),
        "oil/(unknown classes)": (0, 1, 1.0),
    }


def test_a_domain_that_never_trains_may_lack_classes(rows: Rows) -> None:
    manifest = rows([("ink", "ant", 6), ("ink", "bee", 3), ("oil", "ant:test", 2), ("ink", "owl", 1)])
    assert counted(group_counts(manifest, ["ant", "bee"], 4, sources=["ink"])) == {
        "ink/ant": (6, 0, 1.0),
        "ink/bee": (3, 1, 2.0),
        "oil/ant": (2, 0, 1.0),
        "oil/bee": (0, 0, 1.0),
        "ink/(unknown classes)": (1, 0, 1.0),
    }


def test_images_given_for_test_do_not_count_for_training(rows: Rows) -> None:
    manifest = rows([("ink", f"{name}:{part}", 5) for name in ("ant", "bee") for part in ("train", "test")])
    assert counted(group_counts(manifest, ["ant", "bee"], 8)) == {"ink/ant": (5, 3, 1.0), "ink/bee": (5, 3, 1.0)}
