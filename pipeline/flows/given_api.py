"""The Prefect API that PREFECT_API_URL names: checked before a flow, so that a dead one is one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, ServerLostError, one_line
from pipeline.flows.server import API_VARIABLE
from pipeline.tracking.client import shown_uri

if TYPE_CHECKING:
    from pipeline.flows.server import LocalApi


def check_given_api() -> None:
    """Return if the API answers; Prefect's own client asks, so proxies, TLS and credentials count as in the flow.

    Raises:
        PipelineError: it does not, or is no Prefect API; names the URL without credentials.
    """
    import httpx
    from prefect.client.base import ServerType
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    url = os.environ.get(API_VARIABLE, "")
    try:
        # Prefect tries again after each timeout, which takes minutes where nothing answers.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            error = client.api_healthcheck()
            if client.server_type == ServerType.CLOUD and isinstance(error, PrefectHTTPStatusError):
                return  # it answers; Prefect itself says what is wrong with a key
    except (OSError, ValueError, httpx.InvalidURL) as problem:  # no such certificate file, or no URL
        error = problem
    if error is not None:
        raise PipelineError(
            f"{API_VARIABLE}: {shown_uri(url)} does not answer as a Prefect API ({_reason(error, url)}); "
            f"start that server, correct the URL, or unset {API_VARIABLE}: then the command starts an API of its own"
        )


@contextlib.contextmanager
def answering(api: LocalApi | None) -> Iterator[None]:
    """Around a flow: an API that dies meanwhile is one line.

    Args:
        api: that was started for this process; None for the one that PREFECT_API_URL names.
    Raises:
        ServerLostError: it no longer answers.
    """
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        url = os.environ.get(API_VARIABLE, "")
        if api is None:
            lost, then = f"{API_VARIABLE}: {shown_uri(url)} stopped answering", "start that server, then run this again"
        else:
            lost, then = "Prefect's local API stopped", f"run this again; if it stops again, see its log, {api.log}"
        raise ServerLostError(
            f"{lost} during the run ({_reason(error, url)}); finished stages are kept; {then}"
        ) from None


def _reason(error: Exception, url: str) -> str:
    """What the error says, in a line without credentials."""
    return one_line(error).replace(url, shown_uri(url))[:200]
