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
data = typer.Typer(help="Data sets: versions under DVC.", no_args_is_help=True)
app.add_typer(data, name="data")

Version = Annotated[str | None, typer.Argument(help="A version number or an alias.", show_default=False)]


@app.command()
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to bring up to date; all by default.")] = None,
) -> None:
    """Run what is out of date: a Prefect flow with one task for each DVC stage."""
    from pipeline.cli.run import run_pipeline

    run_pipeline(stages or [])


@app.command()
def sweep(
    change: Annotated[
        list[str] | None,
        typer.Option(
            "-S",
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of compute, finetune or sweep for this sweep only: -S 'sweep.axes={lr: [0.01, 0.05]}'.",
        ),
    ] = None,
) -> None:
    """Try the grid of params.yaml (sweep) on every held-out domain and seed; source validation chooses."""
    from pipeline.cli.sweep import run_sweep

    run_sweep(change or [])


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
    model: Annotated[str, typer.Argument(help="open_clip's name of a model, such as ViT-B-32, or hf-hub:ORG/NAME.")],
    name: Annotated[str, typer.Option(help="What the file is to be called.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="TAG|PATH",
            help="A tag of open_clip's hub, or a weights file; for hf-hub: the folder of its files, or nothing.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Put a CLIP's weights into the workspace, under DVC."""
    from pipeline.cli.inputs import add_backbone

    add_backbone(model, source, name)


DataVersion = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="VERSION is a number or a git revision.")]


@data.command("add")
def data_add(
    path: Annotated[Path, typer.Argument(help="A folder of images, or another source (docs/datasets.md).")],
    name: Annotated[str, typer.Option(help="What the data set is called: data/NAME.")],
    domain: Annotated[str, typer.Option(help="The domain of all images, for class/image.")] = "",
    open_set: Annotated[str, typer.Option(metavar="POOL", help="Add the images as a pool of unknown ones.")] = "",
    benchmark: Annotated[str, typer.Option(help="The benchmark whose layout PATH has (docs/datasets.md).")] = "",
    kind: Annotated[str, typer.Option(help="The kind of source, where looking is not enough.")] = "auto",
    images: Annotated[str, typer.Option(metavar="FOLDER", help="What a listing's paths are relative to.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Clone or hard-link files where that is possible.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Drop images that PATH no longer has.")] = False,
    on_bad_image: Annotated[str, typer.Option(help="fail or skip; data.on_bad_image by default.")] = "",
) -> None:
    """Check images and make them a version of a data set; again for a folder that grew. A Prefect flow."""
    from pipeline.cli.data import add_data

    add_data(
        path,
        name,
        domain=domain,
        open_set=open_set,
        benchmark=benchmark,
        kind=kind,
        images=images,
        link=link,
        prune=prune,
        on_bad_image=on_bad_image,
    )


@data.command("list")
def data_list(remote: Annotated[bool, typer.Option("--remote", help="Ask the remote what it holds.")] = False) -> None:
    """List the data sets."""
    from pipeline.cli.data import list_data

    list_data(remote=remote)


@data.command("show")
def data_show(name: DataVersion) -> None:
    """Show what a version holds, class by domain, and which versions there are."""
    from pipeline.cli.data import show_data

    show_data(name)


@data.command("diff")
def data_diff(
    a: DataVersion,
    b: Annotated[str | None, typer.Argument(metavar="[NAME[@VERSION]]", help="The present version by default.")] = None,
) -> None:
    """Show what changed from one version to another; with NAME alone, between its last two."""
    from pipeline.cli.data import diff_data

    diff_data(a, b)


@data.command("use")
def data_use(name: DataVersion) -> None:
    """Bring a version back into the workspace."""
    from pipeline.cli.data import use_data

    use_data(name)


def main() -> None:
    """Entry point: an error that a person can act on is one line and exit status 2; Ctrl-C is 130."""
    try:
        app()
    except CroftError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
