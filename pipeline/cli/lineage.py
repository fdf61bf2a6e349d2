"""`croft lineage`: from a version down to its bytes as a tree, and from bytes up to versions as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import telemetry
from pipeline.cli.stores import store_lines, store_name
from pipeline.console import make_console, plain_table, say
from pipeline.params import load_params
from pipeline.phrases import counted, shorten

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from pipeline.provenance.seen import Seen, Sight

_SHOWN = 12  # digits of a hash
_CODE, _OUTPUTS = ("pipeline/", "stages/"), "artifacts/"
_LOG = 10_000  # columns
_HIDDEN = ("git_commit", "git_dirty", "lock_sha256", "sha256.weights")  # tags that a line of their own shows
_NAMED = 20  # things that are not known


def print_lineage(version: str | None, *, as_json: bool = False) -> None:
    """Print what made a version."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.provenance.trace import trace

    facts = trace(name, version)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        print_facts(facts, make_console())


def print_facts(facts: Mapping[str, Any], console: Console) -> None:
    """The mapping that `pipeline.provenance.trace.trace` returns, as a tree."""
    # Rich wraps the lines of a tree or cuts them; in a log each is whole.
    wide = console if console.is_terminal else type(console)(file=console.file, width=_LOG)
    wide.print(_tree(facts))
    for line in store_lines(facts["stages"].values()):
        say(line, console)


def _tree(facts: Mapping[str, Any]) -> Tree:
    tree = _node(None, _title(facts))
    data, weights, record = facts["data"], facts["weights"], facts["record"]
    stages = _node(tree, "stages" if record else f"stages ({_NO_RECORD})")
    for stage, run in facts["stages"].items():
        node = _node(stages, _run(stage, run, facts["version"]))
        for line in _files((record or {}).get(stage, {}), data):
            _node(node, line)
    if data:
        _node(tree, f"data: {_data(data)}")
    if weights:
        digest = f", sha256 {weights['sha256']}" if weights["sha256"] else ""
        _node(tree, f"weights: {weights['path']} {weights['md5'][:_SHOWN]}{digest}")
    for line in _circumstances(facts["environment"], facts["commit"]):
        _node(tree, line)
    _others(tree, facts)
    return tree


_NO_RECORD = "no dvc.lock here records them: run `dvc fetch --all-commits`, or commit dvc.lock where they were run"


def _title(facts: Mapping[str, Any]) -> str:
    aliases = f" ({', '.join(facts['aliases'])})" if facts["aliases"] else ""
    title = f"{facts['model']} version {facts['version']}{aliases}, registered {_moment(facts['created'])}"
    place = f"{facts['tracking_uri']} ({store_name(facts['store'])})" if facts["store"] else facts["tracking_uri"]
    return f"{title} in {place}" if facts["registered_here"] else f"{title} in another store than {place}"


def _run(stage: str, run: Mapping[str, Any], version: str) -> str:
    state = f"in {store_name(run['store'])}" if "store" in run else run["status"]
    first = str(run.get("first", ""))
    made = "" if not first else "executed" if first == version else f"reused from version {first}"
    commit = str(run.get("git_commit") or "")[:_SHOWN]
    return " ".join(filter(None, [f"{stage} {run['run_id']}", state, made, _moment(run.get("started")), commit]))


def _files(entry: Mapping[str, Any], data: Mapping[str, Any] | None) -> Iterator[str]:
    """What a stage wrote, and what it read that no other stage wrote, with DVC's hashes; its code is counted."""
    if not entry:
        return
    weights = str(entry["params"].get("backbone", {}).get("weights", ""))
    code = [path for path in entry["deps"] if path.startswith(_CODE) and path != weights]
    for path, md5 in entry["deps"].items():
        if data and path == data["path"]:
            yield f"read {_data({**data, 'md5': md5})}"
        elif path not in code and not path.startswith(_OUTPUTS):
            yield f"read {path} {md5[:_SHOWN]}"
    if code:
        yield f"read {counted(len(code), 'file or folder', 'files and folders')} of code"
    for path, md5 in entry["outs"].items():
        yield f"made {path} {md5[:_SHOWN]}"


def _data(data: Mapping[str, Any]) -> str:
    versions = [f"{name}@{number}" for name, number in data["versions"]]
    named = f" ({', the same bytes as '.join(versions)})" if versions else ""
    return f"{data['path']} {data['md5'][:_SHOWN]}{named}"


def _circumstances(environment: Mapping[str, str], commit: Mapping[str, Any]) -> Iterator[str]:
    lock, python = environment["lock_sha256"], environment["python"]
    parts = [*([f"requirements.lock {lock[:_SHOWN]}"] if lock else []), *([python] if python else [])]
    if environment["python_sha256"]:
        parts.append(f"program {environment['python_sha256'][:_SHOWN]}")
    if parts:
        known = environment["id"][:_SHOWN] or "interpreter not recorded"
        yield f"environment: {known} ({', '.join(parts)})"
    if commit["id"]:
        yield f"commit: {commit['id']}{' with local changes' if commit['dirty'] else ''}"


def _others(tree: Tree, facts: Mapping[str, Any]) -> None:
    tags = _node(tree, "tags")
    for key, value in facts["tags"].items():
        if key not in _HIDDEN:
            _node(tags, f"{key}: {value}")
    verdict = facts["verdict"]
    if verdict:
        forced = ", forced" if verdict.get("forced") else ""
        gate = _node(tree, f"Gate: {'passed' if verdict['passed'] else 'refused'}{forced}")
        for _, passed, sentence in verdict["reasons"]:
            _node(gate, f"{'pass' if passed else 'FAIL'}  {sentence}")
    if facts["journal"]:
        journal = _node(tree, "journal of the alias champion")
        for entry in facts["journal"]:
            reason = f": {entry['reason']}" if entry["reason"] else ""
            _node(journal, f"{entry['time']} {entry['action']} {entry['before'] or 'none'} -> {entry['after']}{reason}")


def _node(tree: Tree | None, text: str) -> Tree:
    """A branch whose text is no markup."""
    from rich.text import Text
    from rich.tree import Tree

    return Tree(Text(text)) if tree is None else tree.add(Text(text))


def print_seen(text: str, *, as_json: bool = False, here: Path | None = None) -> None:
    """Print what saw certain bytes.

    Args:
        text: names them (`pipeline.provenance.wanted.parse_wanted`).
        as_json: instead of a table.
        here: the folder that a path is relative to.
    """
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.provenance.seen import seen_by

    seen = seen_by(Path.cwd(), name, text, here=here)
    if as_json:
        print(json.dumps(_seen_facts(name, seen), indent=2, ensure_ascii=False))
    else:
        print_sights(name, seen, make_console())


def print_sights(name: str, seen: Seen, console: Console) -> None:
    """A table, or one line where nothing saw the bytes."""
    from rich.markup import escape

    many = counted(seen.wanted.count, "image") if seen.wanted.count and not seen.wanted.sha256 else ""
    title = f"{seen.wanted.title}{f', {many}' if many else ''}"
    if seen.sights:
        say(f"{title}: seen by", console)
        table = plain_table("Version", "Time", "Data", "Images", "Training", "Validation", "Test", "Open set", words=3)
        for sight in seen.sights:
            table.add_row(*map(escape, _cells(name, sight)))
        console.print(table)
        say("Training, validation: of the deployed fit. Test, open set: of the fits that hold a domain out.", console)
    elif not seen.unknown:
        say(f"{title}: no version and no run that is recorded here has seen it", console)
    else:
        say(f"{title}: seen by no version and no run of which it is known what they read", console)
    if seen.unknown:
        say(f"Not known: {shorten(seen.unknown, _NAMED, separator='; ')}. `dvc fetch --all-commits` may tell", console)


def _cells(name: str, sight: Sight) -> list[str]:
    if sight.version:
        aliases = f" ({', '.join(sight.version.aliases)})" if sight.version.aliases else ""
        what = f"{name} version {sight.version.number}{aliases}"
    else:
        stage, run_id = list(sight.runs.items())[-1]
        what = f"none; {stage} {run_id[:_SHOWN]}"
    roles = sight.roles
    numbers = (roles.training, roles.validation, roles.test, roles.open_set) if roles else (None,) * 4
    shown = ["?" if number is None else f"{number:,}" for number in (sight.images, *numbers)]
    return [what, sight.time[:16].replace("T", " "), str(sight.data), *shown]


def _seen_facts(name: str, seen: Seen) -> dict[str, Any]:
    wanted = seen.wanted
    return {
        "data": {"title": wanted.title, "md5": wanted.md5, "sha256": wanted.sha256, "images": wanted.count or None},
        "seen_by": [
            {
                "model": name if sight.version else None,
                "version": sight.version.number if sight.version else None,
                "aliases": list(sight.version.aliases) if sight.version else [],
                **{key: value for key, value in asdict(sight).items() if key not in ("version", "runs")},
                "runs": dict(sight.runs),
            }
            for sight in seen.sights
        ],
        "unknown": list(seen.unknown),
    }


def _moment(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds") if seconds else ""
