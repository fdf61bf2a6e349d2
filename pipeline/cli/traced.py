"""The commands about what was made of what: their arguments and options."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def lineage(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(help="A version number or an alias.", show_default=False)] = None,
    data: Annotated[
        str,
        typer.Option(
            metavar="BYTES",
            help="Instead: what saw NAME[@VERSION], or one image (its path or SHA-256).",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Show what made a model version (by default the champion), down to data, environment and commit.

    With --data, the other way: which versions and runs saw these bytes, and as what.
    """
    from pipeline.cli.lineage import print_lineage, print_seen
    from pipeline.errors import ParamsError

    if data and version:
        raise ParamsError("VERSION and --data: choose one of the two")
    if data:
        print_seen(data, as_json=as_json, here=context.obj)
    else:
        print_lineage(version, as_json=as_json)


def runs(
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME[@VERSION]",
            help="Only runs on this data set, or on this version of it.",
            show_default=False,
        ),
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The most runs that are shown.")] = 20,
) -> None:
    """List the last runs: when, on which data, what was deployed, how good it is, and which version came of it."""
    from pipeline.cli.runs import print_runs

    print_runs(data, as_csv=as_csv, as_json=as_json, limit=limit)


def reproduce(
    version: Annotated[str | None, typer.Argument(help="A version number or an alias.", show_default=False)] = None,
    reuse_embeddings: Annotated[
        bool, typer.Option("--reuse-embeddings", help="Take embeddings from the workspace's store; encode no image.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a version (by default the champion) again in a clean checkout, and compare the hashes of all outputs.

    The exit status is 1 if a stage made something else.
    """
    from pipeline.cli.reproduce import reproduce_version

    if not reproduce_version(version, reuse_embeddings=reuse_embeddings, as_json=as_json):
        raise typer.Exit(1)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be freed, and free nothing.")] = False,
) -> None:
    """Free the disk of deleted MLflow runs, of dead checkouts and of temporary files; never of a registered version."""
    from pipeline.cli.gc import free_disk

    free_disk(dry_run=dry_run)
