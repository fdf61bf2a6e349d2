"""What an error prints: credentials never, notes after it."""

from __future__ import annotations

import pytest

from pipeline.errors import DataError, PipelineError, TrackingError, report, without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:hunter2@host:5000/api failed", "http://host:5000/api failed"),
        ("https://user:hun@ter2@host failed", "https://host failed"),
        ("'https://hunter2@host/x'", "'https://host/x'"),
        (
            "postgresql://db/mlflow?user=u&password=hunter2&sslmode=require",
            "postgresql://db/mlflow?user=u&password=***&sslmode=require",
        ),
        ("https://host/x?X-Amz-Security-Token=hunter2", "https://host/x?X-Amz-Security-Token=***"),
        ("https://host/a@b and c://d", "https://host/a@b and c://d"),
        ("a@b: no such class", "a@b: no such class"),
    ],
)
def test_no_error_holds_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
    for kind in (DataError, PipelineError, TrackingError):
        assert str(kind(text)) == shown


def test_the_first_error_is_printed_first_and_what_followed_is_a_note() -> None:
    error = PipelineError("stage 'one' failed")
    error.add_note("the run is still open")
    assert report(error) == "error: stage 'one' failed\nnote: the run is still open"
    assert report(error, "other words") == "error: other words\nnote: the run is still open"
