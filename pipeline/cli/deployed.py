"""The commands that use a model: their arguments and options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.project import from_project, relative, tag_or_path


def predict(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Images, folders of images, .txt files with a path a line, .csv files with paths."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="VERSION|PATH",
            help="A version number or an alias, or an exported folder such as artifacts/export, or a model.onnx.",
        ),
    ] = "champion",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON lines.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV.")] = False,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write Parquet.", show_default=False, callback=from_project),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where --json or --csv go instead of the terminal.",
            show_default=False,
            callback=from_project,
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="K", min=0, help="Also list the K most probable classes.")] = 0,
    copy_to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Copy the images into a new folder, by class and unknown/.",
            show_default=False,
            callback=from_project,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images that the graph takes at once.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; by default all cores.", show_default=False)
    ] = None,
) -> None:
    """Say what is on images, of which there may be millions; exit status 1 if some cannot be used.

    \f
    Eleven parameters: each is an argument or an option of the command.
    """
    from pipeline.cli.predict import Output, Settings, predict_files

    here = context.obj
    output = Output(as_json, as_csv, parquet, out, copy_to, top)
    settings = Settings(tag_or_path(context, model), batch, device, threads)
    if not predict_files([relative(path, here) for path in paths], output, settings):
        raise typer.Exit(1)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    model: Annotated[
        str,
        typer.Option(
            metavar="VERSION|PATH",
            help="A version number, an alias, which is followed, or exported files: a folder or a model.onnx.",
            callback=tag_or_path,
        ),
    ] = "champion",
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of an inference; by default all cores but one.")
    ] = None,
    max_batch: Annotated[int, typer.Option(help="Images of one inference.")] = 32,
    max_delay_ms: Annotated[float, typer.Option(help="How long a batch waits for images in decoding.")] = 2.0,
    queue: Annotated[int, typer.Option(help="Images that are admitted at one time; more get a 503.")] = 256,
    timeout: Annotated[float, typer.Option(help="Seconds for a body to arrive, and for its answer.")] = 30.0,
    max_bytes: Annotated[int, typer.Option(help="Of one body.")] = 32_000_000,
    max_pixels: Annotated[int, typer.Option(help="Of one image.")] = 50_000_000,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the bearer token; or set CROFT_TOKEN.", callback=from_project)
    ] = None,
    log_to: Annotated[
        Path | None,
        typer.Option(help="Folder of the log of predictions; by default there is none.", callback=from_project),
    ] = None,
    poll: Annotated[float, typer.Option(help="Seconds between two looks at the alias.")] = 2.0,
) -> None:
    """Answer predictions over HTTP, in batches; follow the champion.

    \f
    Each parameter is an option of the command.
    """
    from pipeline.cli.serve import serve_model

    serve_model(
        model, host=host, port=port, device=device, threads=threads, max_batch=max_batch, max_delay_ms=max_delay_ms,
        queue=queue, timeout=timeout, max_bytes=max_bytes, max_pixels=max_pixels, token_file=token_file, log_to=log_to,
        poll=poll,
    )  # fmt: skip


def card(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="VERSION|PATH", help="A version number or an alias, or exported files."),
    ] = "champion",
    as_json: Annotated[bool, typer.Option("--json", help="Print every value as JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there.", show_default=False, callback=from_project),
    ] = None,
) -> None:
    """Print the model card of a version: what it is, its data, numbers and limits, from tracked values alone."""
    from pipeline.cli.card import print_card

    print_card(tag_or_path(context, model), as_json=as_json, output=output)


def export(
    triton: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a model repository for NVIDIA Triton.", callback=from_project, show_default=False
        ),
    ] = None,
    hf: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a Hugging Face repository: card, configurations, adapters, graphs for Transformers.js.",
            callback=from_project,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="VERSION|PATH",
            help="A version number or an alias, or exported files: a folder or a model.onnx.",
            callback=tag_or_path,
        ),
    ] = "champion",
) -> None:
    """Write a model as another server or library wants it, into a new folder; nothing is uploaded."""
    from pipeline.cli.export import export_model

    export_model(model, triton=triton, hf=hf)
