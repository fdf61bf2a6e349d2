"""The `croft` command. Heavy libraries are imported inside the commands, so that `croft --help` is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import CroftError

app = typer.Typer(
    name="croft",
    help="A versioned folder of images in; a fine-tuned, gated CLIP classifier that says 'unknown' out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
backbone = typer.Typer(help="Frozen CLIP towers.", no_args_is_help=True)
app.add_typer(backbone, name="backbone")

Version = Annotated[str | None, typer.Argument(help="A version number or an alias.", show_default=False)]


@app.command()
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to bring up to date; all by default.")] = None,
) -> None:
    """Run what is out of date: a Prefect flow with one task for each DVC stage."""
    from pipeline.cli.run import run_pipeline

    run_pipeline(stages or [])


@app.command()
def sweep() -> None:
    """Try the grid of params.yaml (sweep) on every held-out domain and seed; source validation chooses."""
    from pipeline.cli.sweep import run_sweep

    run_sweep()


@app.command()
def promote(
    version: Version = None,
    force: Annotated[bool, typer.Option(help="Promote whatever the gate says; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Kept in the verdict and in the journal.")] = "",
) -> None:
    """Make a version (by default the challenger) champion, if it passes the gate; exit status 1 if it does not."""
    from pipeline.cli.models import promote_version

    if not promote_version(version, force=force, reason=reason):
        raise typer.Exit(1)


@app.command()
def rollback(reason: Annotated[str, typer.Option(help="Kept in the journal.")] = "") -> None:
    """Give the alias champion back to the champion before."""
    from pipeline.cli.models import roll_back

    roll_back(reason=reason)


@app.command()
def lineage(version: Version = None) -> None:
    """From a model version (by default the champion) to the runs, hashes and commit that made it."""
    from pipeline.cli.models import print_lineage

    print_lineage(version)


@app.command()
def params() -> None:
    """Check params.yaml and print every knob with its value."""
    from pipeline.cli.inputs import print_params

    print_params()


@app.command()
def use(
    preset: Annotated[str, typer.Argument(help="digits, pacs, vlcs, imagenet, or folder with a path.")],
    path: Annotated[Path | None, typer.Argument(help="For folder: the images.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="For folder: what the data set is called; the folder's name.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Write params.yaml for a data set from a checked preset, and show what that changes."""
    from pipeline.cli.use import use_preset

    use_preset(preset, path, name, dry_run=dry_run)


@backbone.command("add")
def backbone_add(
    model: Annotated[str, typer.Argument(help="open_clip's name of the model, such as ViT-B-32.")],
    source: Annotated[str, typer.Argument(metavar="TAG|PATH", help="A tag of open_clip's hub, or a weights file.")],
    name: Annotated[str, typer.Option(help="What the file is to be called.")],
) -> None:
    """Put a CLIP's weights into the workspace, under DVC."""
    from pipeline.cli.inputs import add_backbone

    add_backbone(model, source, name)


def main() -> None:
    """Entry point: an error that a person can act on is one line and exit status 2; Ctrl-C is 130."""
    try:
        app()
    except CroftError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
