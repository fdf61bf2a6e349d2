"""Which kind of thing a text names: its form alone decides."""

from __future__ import annotations

import pytest

from pipeline.comparison.reference import Reference, parse_reference
from pipeline.errors import ParamsError

RUN = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("text", "kind", "name", "model"),
    [
        ("3", "version", "3", "croft"),
        ("croft/3", "version", "3", "croft"),
        ("croft@champion", "version", "champion", "croft"),
        ("models:/croft/12", "version", "12", "croft"),
        ("models:/other@best", "version", "best", "other"),
        (RUN, "run", RUN, ""),
        ("main", "revision", "main", ""),
        ("HEAD~1", "revision", "HEAD~1", ""),
        ("main@{upstream}", "revision", "main@{upstream}", ""),
        ("feature/3", "revision", "feature/3", ""),  # a branch, since no model of the project is called feature
        ("other@best", "revision", "other@best", ""),
        ("croft", "revision", "croft", ""),
        ("0123abc", "revision", "0123abc", ""),
        ("0123456", "revision", "0123456", ""),  # a commit that happens to have no letter
        (RUN + "01234567", "revision", RUN + "01234567", ""),  # a whole SHA-1
        ("exp-keen-dory", "revision", "exp-keen-dory", ""),
    ],
)
def test_the_form_decides(text: str, kind: str, name: str, model: str) -> None:
    assert parse_reference(text, "croft") == Reference(kind, name, model)


@pytest.mark.parametrize("text", ["", "--all", "models:/croft", "models:/croft/latest"])
def test_what_is_none_of_the_three(text: str) -> None:
    with pytest.raises(ParamsError, match="expected a git revision"):
        parse_reference(text, "croft")
