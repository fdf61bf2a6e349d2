"""`croft use`: write params.yaml from a checked preset and show what that changes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.presets import NAMES, Merged, Preset, folder_preset, merge, read_preset
from pipeline.cli.presets.spelling import spell
from pipeline.console import make_console, plain_table, say
from pipeline.data.parts import are_domains
from pipeline.errors import ParamsError
from pipeline.methods.settings import check_methods
from pipeline.params import PARAMS_FILE, parse_params, read_text
from pipeline.params.yaml_text import parse_yaml
from pipeline.phrases import counted, suggest
from pipeline.tables import OPEN_SETS, atomic_path

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.sources import SourceOptions

_LONG = 60  # characters of a value that the table shows


def use_preset(
    name: str,
    path: Path | None = None,
    data_name: str = "",
    options: SourceOptions | None = None,
    *,
    dry_run: bool = False,
) -> None:
    """Put a preset's values into params.yaml; all other keys and all comments stay.

    Args:
        name: one of NAMES, or `folder` with a path.
        path: the folder of images or another source, for `folder`.
        data_name: what its data set is called; the folder's name by default.
        options: how to read it, for `folder`.
        dry_run: show only.
    Raises:
        ParamsError: no such preset; params.yaml is missing or no YAML; or the result would be no valid params file for
            another reason than an unknown key (such keys are kept and named).
        DataError: the folder holds no images, or too few of a class.
    """
    preset = _find(name, path, data_name, options)
    text = read_text()
    newline = "\r\n" if "\r\n" in text else "\n"
    merged = merge(text.replace("\r\n", "\n"), preset, str(PARAMS_FILE))
    _check(merged)
    if not dry_run and merged.text.replace("\n", newline) != text:
        with atomic_path(PARAMS_FILE) as temporary:
            temporary.write_bytes(merged.text.replace("\n", newline).encode("utf-8"))
    console = make_console()
    _print_changes(preset, merged, console, dry_run=dry_run)
    for warning in preset.warnings:
        say(f"Note: {warning}", console)
    _print_next(preset, console)


def _find(name: str, path: Path | None, data_name: str, options: SourceOptions | None) -> Preset:
    if name == "folder":
        if path is None:
            raise ParamsError("folder: expected a path: croft use folder PATH")
        return folder_preset(path, data_name, options)
    if path is not None or data_name or (options and options.typed):
        raise ParamsError(f"{name}: only `croft use folder PATH` takes a path, a name and options of a source")
    if name not in NAMES:
        raise ParamsError(f"{name}: no such preset; {suggest(name, [*NAMES, 'folder'], label='presets')}")
    return read_preset(name)


def _check(merged: Merged) -> None:
    """Refuse a result that a run would refuse, unless for unknown keys, which are kept and named."""
    content = parse_yaml(merged.text)
    for dotted in merged.unknown:
        section, _, key = dotted.partition(".")
        if key and section in content:
            content[section].pop(_key(content[section], key), None)
        else:
            content.pop(section, None)
    source = f"{PARAMS_FILE}: not changed, since a run would refuse it with this preset"
    check_methods(parse_params({name: keys for name, keys in content.items() if keys is not None}, source), source)


def _key(keys: dict[Any, Any], text: str) -> Any:
    return next((key for key in keys if str(key) == text), text)


def _print_changes(preset: Preset, merged: Merged, console: Console, *, dry_run: bool) -> None:
    from rich.markup import escape

    say(f"{preset.name}: {preset.title}", console)
    for line in preset.report:
        say(line, console)
    if merged.changes:
        table = plain_table("Key", "Was", "Is" if not dry_run else "Would be", words=3)
        for change in merged.changes:
            was = "(not set)" if change.absent else _short(change.was)
            table.add_row(change.key, escape(was), escape(_short(change.now)))
        console.print(table)
    done = "would change" if dry_run else "changed"
    changed = f"{PARAMS_FILE}: {counted(len(merged.changes), 'key')} {done}"
    say(f"{changed}; {len(merged.kept)} that {preset.name} does not set stay as they are", console)
    if merged.unknown:
        unknown = ", ".join(merged.unknown)
        say(f"Unknown keys, kept as they are, but a run refuses them (`croft params`): {unknown}", console)


def _short(value: Any) -> str:
    text = spell(value)
    if len(text) <= _LONG:
        return text
    return (
        f"{text[: _LONG - 4]} ..." if not isinstance(value, list | dict) else f"{text[: _LONG - 16]} ... ({len(value)})"
    )


def _print_next(preset: Preset, console: Console) -> None:
    """The commands that fetch what is missing, and the run."""
    root, weights = Path(preset.values["data.root"]), Path(preset.values["backbone.weights"])
    steps = []
    if not _present(root) or ("--domains" in preset.options and not are_domains(root)):
        known = preset.path or (root if root.exists() else None)
        path = shlex.quote(str(known)) if known else "PATH"
        options = [f"--benchmark {preset.benchmark}"] if preset.benchmark else preset.options
        steps.append(" ".join([f"croft data add {path} --name {root.name}", *options]))
        if preset.benchmark:
            from pipeline.sources.benchmarks import benchmark

            steps += [f"    from {place}" for place in benchmark(preset.benchmark).get]
            steps.append("    in any of the layouts of docs/datasets.md")
    for pool in preset.pools:
        if not (root / OPEN_SETS / pool).exists():
            steps.append(f"croft data add PATH --name {root.name} --open-set {pool} --benchmark {pool}  (optional)")
    if not _present(weights):
        steps.append(f"croft backbone add {preset.values['backbone.model']} openai --name {weights.stem}")
    console.print("Next:", highlight=False)
    for step in [*steps, "croft run"]:
        say(f"  {step}", console)


def _present(path: Path) -> bool:
    return path.exists() or path.with_name(f"{path.name}.dvc").is_file() or (path.parent / "dvc.yaml").is_file()
