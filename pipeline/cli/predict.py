"""`croft predict`: answers for files, as a table, a stream of records, or copies sorted by class."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from pipeline.cli.model import Chosen, choose_model
from pipeline.console import make_console, plain_table, say
from pipeline.data.layout import printable
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import counted
from pipeline.prediction.answers import Answer

if TYPE_CHECKING:
    from pipeline.prediction.writers import Form, Write
    from pipeline.serving.predictor import Predictor

FEW = 20
"""Images up to which the terminal shows each; and errors that are named where an output holds them all."""


class Output(NamedTuple):
    """Where answers go: options of the command."""

    as_json: bool = False
    as_csv: bool = False
    parquet: Path | None = None
    out: Path | None = None
    copy_to: Path | None = None
    top: int = 0

    def form(self) -> tuple[Form | None, Path | None]:
        """The one form that was asked for, and its file; None for the terminal's table.

        Raises:
            ParamsError: more than one form, or a file that cannot be one.
        """
        if self.as_json + self.as_csv + (self.parquet is not None) > 1:
            raise ParamsError("--json, --csv, --parquet: expected one of them")
        if self.out is not None and not (self.as_json or self.as_csv):
            raise ParamsError(f"--out {self.out}: expected --json or --csv with it; Parquet is --parquet FILE")
        for option, path in (("--out", self.out), ("--parquet", self.parquet)):
            if path is not None and path.is_dir():
                raise ParamsError(f"{option} {path}: a folder; expected the name of a file")
        if self.parquet is not None:
            return "parquet", self.parquet
        return ("json" if self.as_json else "csv" if self.as_csv else None), self.out


class Settings(NamedTuple):
    """How answers are computed: options of the command."""

    model: str
    batch: int = 64
    device: str = "auto"
    threads: int | None = None


class Tally:
    """What is said at the end: counts, and the answers themselves while they are few.

    Args:
        named: how many errors are named; None for all.
    """

    def __init__(self, named: int | None) -> None:
        self.labels: Counter[str] = Counter()
        self.few: list[Answer] = []
        self.images = self.unknown = self.errors = 0
        self._named = named

    def add(self, answer: Answer) -> None:
        """Count an answer; an error is named on standard error."""
        self.images += 1
        if self.images <= FEW:
            self.few.append(answer)
        if answer.error:
            self.failed(answer.error)
        else:
            self.labels[str(answer.label)] += 1
            self.unknown += bool(answer.unknown)

    def failed(self, error: str) -> None:
        """Name what is wrong with an image, above the progress bar."""
        from tqdm import tqdm

        self.errors += 1
        if self._named is None or self.errors <= self._named:
            tqdm.write(printable(error), file=sys.stderr)


def predict_files(paths: Sequence[Path], output: Output, settings: Settings) -> bool:
    """Decide on every image that the paths name, write the answers, and say what there was.

    Returns:
        Whether all images had an answer.
    Raises:
        CroftError: nothing can be done: a wrong option, path or model.
        OSError: an output cannot be written.
    """
    form, out = output.form()
    from pipeline.prediction.files import check_paths, count
    from pipeline.prediction.sorting import Sorter
    from pipeline.progress import Progress
    from pipeline.serving.predictor import Predictor

    check_paths(paths)
    chosen = choose_model(settings.model)
    predictor = Predictor(
        graph=chosen.graph, card=chosen.card, device=settings.device, threads=settings.threads, batch=settings.batch
    )
    say_error(f"Model: {model_line(chosen)}, on {ran_on(predictor)}")
    tally = Tally(FEW if form else None)
    start = time.monotonic()
    with sigterm_raises(), contextlib.ExitStack() as stack:
        sorter = Sorter(output.copy_to, predictor.card.classes) if output.copy_to else None
        write = stack.enter_context(_writer(form, out, str(chosen), output.top))
        total = count(paths, without=output.copy_to)
        progress = stack.enter_context(Progress("predict", total, "images"))
        for answers in _stream(predictor, paths, output, settings):
            write(answers)
            for answer in answers:
                tally.add(answer)
                if sorter and not answer.error:
                    try:
                        sorter.copy(answer)
                    except DataError as error:
                        tally.failed(str(error))
            progress.advance(len(answers))
    show(tally, output, time.monotonic() - start, to_stdout=form is None or out is not None)
    if sorter:
        say_error(f"{counted(sorter.copied, 'image')} copied to {output.copy_to}")
    return not tally.errors


def _stream(predictor: Predictor, paths: Sequence[Path], output: Output, settings: Settings) -> Iterator[list[Answer]]:
    from pipeline.prediction.files import find
    from pipeline.prediction.stream import answers

    workers = settings.threads or os.cpu_count()
    found = find(paths, without=output.copy_to)
    return answers(predictor, found, batch=settings.batch, workers=workers or 1, top=output.top)


def _writer(form: Form | None, out: Path | None, model: str, top: int) -> contextlib.AbstractContextManager[Write]:
    from pipeline.prediction.writers import writer

    return contextlib.nullcontext(lambda _: None) if form is None else writer(form, out, model=model, top=top)


def model_line(chosen: Chosen) -> str:
    """What answers call the model, and where files lie that no registry has."""
    return str(chosen) if chosen.registered else f"{chosen} ({chosen.graph})"


def ran_on(predictor: Predictor) -> str:
    """The providers that ran the graph, as a line of the terminal holds them."""
    total = sum(predictor.executed.values())
    parts = [
        f"{name.removesuffix('ExecutionProvider')} ({nodes} of {counted(total, 'node')})"
        for name, nodes in predictor.executed.items()
    ]
    return " and ".join(parts)


def show(tally: Tally, output: Output, seconds: float, *, to_stdout: bool) -> None:
    """Few images as a table, unless they went elsewhere; then the counts."""
    from rich.text import Text

    lines: list[str] = []
    if not output.form()[0] and tally.images <= FEW:
        table = plain_table("image", "label", "class", "probability", "score", words=3)
        for answer in tally.few:
            if not answer.error:
                cells = (answer.path, str(answer.label), _classes(answer, output.top))
                numbers = (f"{answer.probability:.4f}", f"{answer.score:.4f}")
                table.add_row(*(Text(printable(cell)) for cell in cells), *numbers)
        if table.row_count:
            make_console().print(table)
    else:
        lines += [f"{number:>9,}  {printable(name)}" for name, number in tally.labels.most_common()]
    good = tally.labels.total()
    rate = f"{tally.images / seconds:,.1f} images/s" if seconds > 0 else ""
    unknown = f"{tally.unknown:,} unknown"
    lines.append(f"{counted(good, 'image')} answered, {unknown}, {counted(tally.errors, 'error')}; {rate}")
    for line in lines:
        say(line, make_console()) if to_stdout else say_error(line)
    if not tally.images:
        say_error("no images found")


def _classes(answer: Answer, top: int) -> str:
    if top < 2:
        return str(answer.class_)
    return ", ".join(f"{name} {probability:.4f}" for name, probability in answer.top)


def say_error(line: str) -> None:
    """A line for a person, where standard output is for a program."""
    print(printable(line), file=sys.stderr, flush=True)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that no temporary file is left."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
