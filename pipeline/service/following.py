"""Which version is served: the one that an alias names now, loaded beside the old one and swapped without a gap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pipeline.errors import one_line
from pipeline.service.metrics import Metrics
from pipeline.service.model import Model, Source
from pipeline.service.refusals import busy

Load = Callable[[Source], Model]
logger = logging.getLogger("croft.serve")


class Registry:
    """A registered model's version or alias.

    Args:
        name: of the registered model.
        version: its number, or an alias.
        root: the project.
    """

    def __init__(self, name: str, version: str, root: Path) -> None:
        self.name, self.version, self.root = name, version, root

    @property
    def moves(self) -> bool:
        """Whether another version may come: not with a number."""
        return not self.version.isdigit()

    def find(self) -> Source:
        """The version that this names now.

        Raises:
            TrackingError: the registry cannot be reached, or does not have it.
        """
        from pipeline.registry.files import model_files

        files = model_files(self.name, self.version, root=self.root)
        alias = self.version if self.moves else ""
        return Source(files.name, files.version, files.graph, files.card, alias)


class Fixed:
    """A source that stays the same."""

    moves = False

    def __init__(self, source: Source) -> None:
        self.source = source

    def find(self) -> Source:
        """The source."""
        return self.source


class Served:
    """Holds the current model, and follows its origin.

    Args:
        origin: says which version to serve.
        load: loads one and runs it once.
        metrics: is told of swaps and failures.
        poll: seconds between looks.
    """

    def __init__(self, origin: Registry | Fixed, load: Load, metrics: Metrics, poll: float) -> None:
        self.origin, self._load, self._metrics, self._poll = origin, load, metrics, poll
        self._current: Model | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.trouble: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a model has answered once."""
        return self._current is not None

    @property
    def current(self) -> Model:
        """The model that answers now; keep it for the whole of a request.

        Raises:
            RefusalError: 503, none is loaded yet.
        """
        if self._current is None:
            raise busy("the model is still being loaded; try again later", 5)
        return self._current

    async def start(self) -> None:
        """Load the first version, then follow in the background.

        Raises:
            CroftError: it cannot be loaded.
        """
        self._swap(await asyncio.to_thread(self._find_and_load))
        if self.origin.moves:
            self._keep(self._follow())

    async def stop(self) -> None:
        """End following, and answer what the models still hold."""
        for task in list(self._tasks):
            task.cancel()
        if self._current is not None:
            await self._current.batcher.close()

    async def look(self) -> None:
        """Swap if the origin names another version; one that fails to load leaves the old one serving."""
        try:
            source = await asyncio.to_thread(self.origin.find)
            if source.version != self.current.source.version:
                self._swap(await asyncio.to_thread(self._load, source))
            self.trouble = None
        except Exception as error:  # whatever a new version does, the old one goes on
            line = one_line(error)
            self._metrics.load_failures.inc()
            if line != self.trouble:  # once, not at every look
                logger.error("still serving version %s: %s", self.current.source.version, line)
            self.trouble = line

    def _find_and_load(self) -> Model:
        return self._load(self.origin.find())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            await self.look()

    def _swap(self, model: Model) -> None:
        model.start(self._metrics.batch_images.observe)
        before, self._current = self._current, model
        self._metrics.serves(model.source.name, model.source.version)
        if before is not None:
            logger.warning("version %s replaces version %s", model.source.version, before.source.version)
            self._keep(before.batcher.close())  # requests that began with it are answered by it

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
