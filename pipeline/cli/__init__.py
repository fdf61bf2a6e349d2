"""The `croft` command. Heavy libraries are imported inside the commands, so that `croft --help` is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.deployed import card, export, predict, serve
from pipeline.cli.project import enter_project, from_project, tag_or_path
from pipeline.cli.traced import gc, lineage, reproduce, runs
from pipeline.console import one_line_errors

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

Images = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder that the paths of a listing are relative to.",
        show_default=False,
        callback=from_project,
    ),
]
Domains = Annotated[
    bool,
    typer.Option(
        "--domains", help="Folders called train, val, test and the like are domains or classes, and no parts."
    ),
]
PathColumn = Annotated[str, typer.Option(metavar="TITLE", help="Column of a table that names the files.")]
ClassColumn = Annotated[str, typer.Option(metavar="TITLE", help="Column of a table that names the classes.")]
GroupColumn = Annotated[
    str, typer.Option(metavar="TITLE", help="Column of a table that names groups of images that belong together.")
]
DomainColumn = Annotated[str, typer.Option(metavar="TITLE", help="Column of a table that names the domains.")]


@app.callback()
def _project(context: typer.Context) -> None:
    context.obj = enter_project()


Version = Annotated[str | None, typer.Argument(help="A version number or an alias.", show_default=False)]


@app.command()
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to bring up to date; by default all.")] = None,
) -> None:
    """Run every stage that is out of date, as a Prefect flow with one task for each DVC stage."""
    from pipeline.cli.run import run_pipeline

    run_pipeline(stages or [])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(context: typer.Context) -> None:
    """Start Prefect's worker for the pool croft, and first end the runs that a killed one left open.

    Options are those of `prefect worker start`.
    """
    from pipeline.cli.worker import start_worker

    start_worker(context.args)


@app.command()
def deploy(
    cron: Annotated[str, typer.Option(metavar="FIELDS", help="When to train: '0 3 * * 1' is Mondays at 3.")] = "",
    timezone: Annotated[str, typer.Option(metavar="NAME", help="That --cron is meant in.")] = "UTC",
    revision: Annotated[str, typer.Option(help="That every run checks out: a branch, a tag or a commit.")] = "main",
    data_set: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="NAME=VERSION",
            help="latest or a number; by default the latest version of the data set in params.yaml.",
        ),
    ] = None,
    policy: Annotated[
        Literal["auto", "ask", "never"],
        typer.Option(help="Promote what passes the gate, ask a person, or never promote."),
    ] = "ask",
    hours: Annotated[float, typer.Option(min=0.001, max=720.0, help="For ask: how long an answer is awaited.")] = 24.0,
    on_data: Annotated[bool, typer.Option("--on-data", help="Train when the data set gets a new version.")] = False,
    notify: Annotated[
        str, typer.Option(metavar="URL", help="Called when a version is promoted or held, or a run fails.")
    ] = "",
    name: Annotated[str, typer.Option(help="Of the deployments; another for each project on a server.")] = "croft",
    pool: Annotated[str, typer.Option(help="Of Prefect, of type process; created if it is missing.")] = "croft",
) -> None:
    """Register the flows on the Prefect server that PREFECT_API_URL names; each run works in a clean checkout.

    The command can be repeated: a schedule, trigger or notification that it does not name is removed.
    """
    from pipeline.cli.deploy import deploy_flows

    deploy_flows(
        data=data_set or [], revision=revision, cron=cron, timezone=timezone, policy=policy, hours=hours,
        on_data=on_data, notify=notify, name=name, pool=pool,
    )  # fmt: skip


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
    """Try the grid of params.yaml (sweep) on every held-out domain and seed; validation images choose."""
    from pipeline.cli.sweep import run_sweep

    run_sweep(change or [])


@app.command()
def promote(
    version: Version = None,
    force: Annotated[bool, typer.Option(help="Promote even if the gate refuses; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Stored in the verdict and in the journal.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, print the verdict, and change nothing.")] = False,
) -> None:
    """Make a version (by default the challenger) champion, if it passes the gate; exit status 1 if it does not."""
    from pipeline.cli.models import promote_version

    if not promote_version(version, force=force, reason=reason, dry_run=dry_run):
        raise typer.Exit(1)


@app.command()
def rollback(
    to: Annotated[str, typer.Option(metavar="VERSION", help="By default the champion before.")] = "",
    reason: Annotated[str, typer.Option(help="Stored in the journal.")] = "",
) -> None:
    """Make the previous champion the champion again; a second time goes one further back."""
    from pipeline.cli.models import roll_back

    roll_back(to=to, reason=reason)


@app.command()
def history(as_json: Annotated[bool, typer.Option("--json", help="Print all fields as JSON.")] = False) -> None:
    """Show every move of the alias champion: when, from which version to which, by whom and why."""
    from pipeline.cli.models import print_history

    print_history(as_json=as_json)


@app.command()
def doctor(mend: Annotated[bool, typer.Option("--mend", help="Put right what can be.")] = False) -> None:
    """Look for unfinished or foreign moves of the champion, missing files, dead runs and stale locks.

    The exit status is 1 if anything is left to mend.
    """
    from pipeline.cli.doctor import examine_project

    if not examine_project(mend=mend):
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A model version, an MLflow run or a git revision.")],
    b: Annotated[str | None, typer.Argument(metavar="B", help="The same; by default the workspace.")] = None,
    method: Annotated[str, typer.Option(help="Method of both; by default the one that each deployed.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """Compare two evaluations, image by image and with intervals, and show what else differs.

    A model version: 3, croft/3 or croft@champion (another model than register.model: models:/NAME/3).

    An MLflow run: its 32 hex digits, of the stage evaluate or of croft run.

    A git revision: everything else (main, HEAD~1), or the name of a DVC experiment.

    The scores come from DVC's cache; the working tree is not changed.
    """
    from pipeline.cli.compare import compare as print_comparison

    print_comparison(a, b, method=method, markdown=markdown, as_json=as_json)


for _command in (lineage, runs, reproduce, gc, predict, serve, export, card):
    app.command()(_command)


@app.command()
def params() -> None:
    """Check params.yaml and print every key with its value."""
    from pipeline.cli.inputs import print_params

    print_params()


@app.command()
def use(
    preset: Annotated[str, typer.Argument(help="digits, pacs, vlcs, imagenet, or folder with a path.")],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="For folder: the images, or another source (docs/datasets.md).",
            show_default=False,
            callback=from_project,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="For folder: the name of the data set; by default the folder's.")] = "",
    images: Images = None,
    domains: Domains = False,
    path_column: PathColumn = "",
    class_column: ClassColumn = "",
    domain_column: DomainColumn = "",
    group_column: GroupColumn = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Write params.yaml for a data set from a checked preset, and show what that changes."""
    from pipeline.cli.use import use_preset
    from pipeline.sources import SourceOptions

    columns = {
        "path_column": path_column,
        "class_column": class_column,
        "domain_column": domain_column,
        "group_column": group_column,
    }
    use_preset(preset, path, name, SourceOptions(images=images, domains=domains, **columns), dry_run=dry_run)


@backbone.command("add")
def backbone_add(
    model: Annotated[str, typer.Argument(help="Name of the model in open_clip, such as ViT-B-32, or hf-hub:ORG/NAME.")],
    name: Annotated[str, typer.Option(help="Name of the file in the workspace.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="TAG|PATH",
            help="A tag of open_clip's hub, or a weights file; for hf-hub: the folder of its files, or nothing.",
            show_default=False,
            callback=tag_or_path,
        ),
    ] = "",
) -> None:
    """Add the weights of a CLIP to the workspace, under DVC."""
    from pipeline.cli.inputs import add_backbone

    add_backbone(model, source, name)


DataVersion = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="VERSION is a number or a git revision.")]


@data.command("add")
def data_add(
    path: Annotated[
        Path, typer.Argument(help="A folder of images, or another source (docs/datasets.md).", callback=from_project)
    ],
    name: Annotated[str, typer.Option(help="Name of the data set; its folder is data/NAME.")],
    domain: Annotated[str, typer.Option(help="The domain of all images, for class/image.")] = "",
    open_set: Annotated[str, typer.Option(metavar="POOL", help="Add the images as a pool of unknown images.")] = "",
    benchmark: Annotated[str, typer.Option(help="Benchmark whose layout PATH has (docs/datasets.md).")] = "",
    kind: Annotated[str, typer.Option(help="Kind of source, if it cannot be detected.")] = "auto",
    images: Images = None,
    domains: Domains = False,
    path_column: PathColumn = "",
    class_column: ClassColumn = "",
    domain_column: DomainColumn = "",
    group_column: GroupColumn = "",
    link: Annotated[bool, typer.Option("--link", help="Clone or hard-link files where possible.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Drop images that PATH no longer has.")] = False,
    on_bad_image: Annotated[
        Literal["fail", "skip"] | None, typer.Option(help="By default data.on_bad_image.", show_default=False)
    ] = None,
) -> None:
    """Check images and add them as a new version of a data set, as a Prefect flow; repeat it when the folder grows.

    \f
    Fifteen parameters: each is an argument or an option of the command.
    """
    from pipeline.cli.data import add_data
    from pipeline.sources import SourceOptions

    columns = {
        "path_column": path_column,
        "class_column": class_column,
        "domain_column": domain_column,
        "group_column": group_column,
    }
    options = SourceOptions(kind, domain, open_set, benchmark, images, domains, **columns)
    add_data(path, name, options, link=link, prune=prune, on_bad_image=on_bad_image or "")


@data.command("list")
def data_list(
    remote: Annotated[bool, typer.Option("--remote", help="Also check which versions the remote has.")] = False,
) -> None:
    """List the data sets."""
    from pipeline.cli.data import list_data

    list_data(remote=remote)


@data.command("show")
def data_show(name: DataVersion) -> None:
    """Show the images of a version, class by domain, and the history of versions."""
    from pipeline.cli.data import show_data

    show_data(name)


@data.command("diff")
def data_diff(
    a: DataVersion,
    b: Annotated[str | None, typer.Argument(metavar="[NAME[@VERSION]]", help="By default the present version.")] = None,
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
    """Entry point: an error that a person can act on ends with one line and exit status 2, Ctrl-C with 130."""
    with one_line_errors():
        app()
