"""An automation that calls a URL when a version was promoted or held, or a run failed."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.types import SecretDict
from pydantic import SecretStr

from pipeline.errors import ParamsError
from pipeline.flows.events import FAILED, HELD, PROJECT, PROMOTED

_BODY = """{"event": {{ event.event | tojson }}, "time": {{ event.occurred | string | tojson }}, \
"payload": {{ event.payload | tojson }}}"""


def set_notification(client: SyncPrefectClient, project: Path, name: str, url: str) -> None:
    """Let the server call a URL for each event of the project's versions; "" removes what an earlier call set.

    The server keeps the URL encrypted, as a block, since such URLs are often secrets.

    Raises:
        ParamsError: the URL is none of HTTP.
    """
    title = f"{name}: notify"
    for former in client.read_automations_by_name(title):
        client.delete_automation(former.id)
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParamsError("--notify: expected a URL such as https://hooks.example.org/NAME")
    block = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    number = cast(UUID, block.save(f"{name}-notify", overwrite=True))
    trigger = EventTrigger(
        expect={PROMOTED, HELD, FAILED}, match={PROJECT: str(project)}, posture=Posture.Reactive, threshold=1
    )
    call = CallWebhook(block_document_id=number, payload=_BODY)
    client.create_automation(AutomationCore(name=title, trigger=trigger, actions=[call]))
