"""A model card as a person reads it: Markdown, with the metadata that Hugging Face reads. Pure.

Each sentence stands on a value of `card_facts`; where the value is missing, so is the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.phrases import counted
from pipeline.tables import IN_DISTRIBUTION

Facts = Mapping[str, Any]
_TAGS = ("clip", "few-shot", "open-set-recognition", "out-of-distribution-detection", "croft")
_KINDS = {
    "quantile": "their scores' quantile",
    "conformal": "their scores' conformal quantile",
    "worst-domain": "the quantile of the domain where it is highest",
}
_METRICS = {  # key: Hugging Face's type, name, column
    "accuracy": ("accuracy", "accuracy", "accuracy"),
    "auroc": ("roc_auc", "AUROC, unknown against known", "AUROC"),
    "fpr95_id_positive": ("fpr95_id_positive", "FPR95, ID positive", "FPR95, ID positive"),
    "fpr95_ood_positive": ("fpr95_ood_positive", "FPR95, OOD positive", "FPR95, OOD positive"),
}


def render(facts: Facts, *, loading: str = "") -> str:
    """The whole card.

    Args:
        facts: from `card_facts`.
        loading: Markdown that says how the model is loaded from where the card lies; by default from the registry.
    """
    parts = [
        f"---\n{_metadata(facts)}---\n",
        f"# {_title(facts)}\n",
        *(f"## {head}\n\n{body}" for head, body in _sections(facts, loading) if body),
    ]
    return "\n".join(parts)


def _title(facts: Facts) -> str:
    return f"{plain(facts['model'])} {plain(facts['version'])}"


def _metadata(facts: Facts) -> str:
    import yaml

    content: dict[str, Any] = {
        "library_name": "onnx",
        "pipeline_tag": facts["pipeline_tag"],
        "tags": list(_TAGS),
    }
    results = _results(facts)
    if results:
        content["metrics"] = sorted({metric["type"] for result in results for metric in result["metrics"]})
        content["model-index"] = [{"name": str(facts["model"]), "results": results}]
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _results(facts: Facts) -> list[dict[str, Any]]:
    """Hugging Face's model-index wants the data set of each number, so there is none where it is not known."""
    data = facts["data"]
    if data is None:
        return []
    rows = [(row["domain"], row) for row in facts["domains"]]
    rows += [("mean over held-out domains", facts["mean"])] if facts["mean"] and len(rows) > 1 else []
    found = []
    for config, row in rows:
        metrics = [
            {"type": kind, "value": row[key], "name": f"{name}"}
            for key, (kind, name, _) in _METRICS.items()
            if key in row
        ]
        described = {"name": data["name"], "type": data["name"], "config": config, "split": "test"}
        if data["md5"]:
            described["revision"] = data["md5"]
        if metrics:
            task = {"type": facts["pipeline_tag"], "name": facts["task"] or facts["pipeline_tag"]}
            found.append({"task": task, "dataset": described, "metrics": metrics})
    return found


def _sections(facts: Facts, loading: str) -> Iterator[tuple[str, str]]:
    yield "What it is", _lines(_about(facts))
    yield "Unknown", _lines(_threshold(facts))
    yield "Data", _lines(_data(facts))
    yield "Numbers", _numbers(facts)
    yield "Limits", _lines(_limits(facts))
    yield "Gate", _lines(_gate(facts))
    yield "Where it comes from", _lines(_lineage(facts))
    yield "How to load it", loading or _from_registry(facts)


def _about(facts: Facts) -> Iterator[str]:
    classes, method, backbone, image = facts["classes"], facts["method"], facts["backbone"], facts["image"]
    if facts["task"]:
        yield f"Task: {plain(facts['task'])}."
    if classes:
        yield f"{counted(len(classes), 'class')}: {', '.join(plain(name) for name in classes)}."
    if facts["class_names"]:
        named = (f"{plain(key)} is {plain(name)}" for key, name in facts["class_names"].items())
        yield f"Names in prompts: {', '.join(named)}."
    if facts["prompts"]:
        yield f"Prompts: {', '.join(f'“{plain(prompt)}”' for prompt in facts['prompts'])}."
    if backbone["name"]:
        weights = backbone["weights_sha256"]
        yield f"Backbone: {plain(backbone['name'])}, frozen" + (
            f"; SHA-256 of its weights {code(weights)}." if weights else "."
        )
    if method["name"]:
        yield f"Method: {plain(method['name'])}." + (f" {plain(method['reason'])}" if method["reason"] else "")
    if image["size"]:
        transform = f", {plain(image['transform'])}" if image["transform"] else ""
        yield f"Images: {image['size']} x {image['size']} pixels{transform}."
    if facts["variants"]:
        offered = (f"{plain(name)} ({plain(recipe)})" for name, recipe in facts["variants"].items())
        yield f"Offered in fewer bits, as its decisions agreed with the trained model's: {', '.join(offered)}."
    paper = facts["paper"]
    if paper:
        yield f"Paper behind the method CRoFT: {_paper(paper)}."


def _threshold(facts: Facts) -> Iterator[str]:
    score, threshold = facts["score"], facts["threshold"]
    if score["name"] and threshold["value"] is not None:
        paper = f" ({_paper(score['paper'])})" if score["paper"] else ""
        yield (
            f"An image is `unknown` when its open-set score, {plain(score['name'])}{paper}, is above "
            f"{threshold['value']:.6g}."
        )
    if threshold["target"] is not None and threshold["images"]:
        kind = _KINDS.get(threshold["kind"], threshold["kind"])
        how = f" by {plain(kind)}" if kind else ""
        seen = (
            f"; {100 * threshold['accepted']:.1f} % of them are accepted" if threshold["accepted"] is not None else ""
        )
        images = counted(threshold["images"], "validation image")
        yield f"The threshold was set to accept {100 * threshold['target']:g} % of {images}{how}{seen}."
    if threshold["notes"]:
        yield f"{plain(threshold['notes'])}."
    if threshold["temperature"] is not None:
        yield f"Logits are divided by a temperature of {threshold['temperature']:.4g} before they become probabilities."


def _data(facts: Facts) -> Iterator[str]:
    data, domains = facts["data"], facts["training_domains"]
    if data:
        number = f", version {data['version']}" if data["version"] else ""
        images = f", {counted(data['images'], 'image')}" if data["images"] else ""
        yield f"{plain(data['name'])}{number} ({code(data['root'])}{images})."
        if data["md5"]:
            yield f"DVC's hash of its listing: {code(data['md5'])}."
        if data["manifest_sha256"]:
            yield f"SHA-256 of the table of its images: {code(data['manifest_sha256'])}."
        if data["unknown_classes"]:
            yield f"Classes that no fit has seen: {', '.join(map(plain, data['unknown_classes']))}."
    if domains:
        yield f"Trained on {counted(len(domains), 'domain')}: {', '.join(map(plain, domains))}."


def _numbers(facts: Facts) -> str:
    rows = [*facts["domains"], *([facts["mean"]] if facts["mean"] and len(facts["domains"]) != 1 else [])]
    shown = [key for key in _METRICS if any(key in row for row in rows)]
    if not shown:
        return ""
    inside = facts["held_out"] == [IN_DISTRIBUTION]
    where = "images that no fit has seen" if inside else "a domain that its fits have not seen"
    head = ["measured on", *(_METRICS[key][2] for key in shown), "images", "unknown", "seeds", "protocol"]
    table = [head, ["---"] * len(head)] + [
        [
            plain(row["domain"]), *(_cell(row, key) for key in shown),
            *(_count(row, key) for key in ("n", "n_unknown", "seeds")),
            code(row["protocol"]) if "protocol" in row else "",
        ]
        for row in rows
    ]  # fmt: skip
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    text = [
        f"In %. Each row is measured on {where}; they estimate the model, which is a fit of its own. In brackets: 95 % "
        "bootstrap interval over images. ±: standard deviation over seeds. Rows of one protocol may be compared.",
        "",
        *lines,
    ]
    return "\n".join(text) + "\n"


def _limits(facts: Facts) -> Iterator[str]:
    limits = facts["limits"]
    domain, unknown, pool = limits["worst_domain"], limits["worst_domain_unknown"], limits["open_set_least_rejected"]
    if domain:
        yield f"The accuracy is lowest on {plain(domain['domain'])}: {_cell(domain, 'accuracy')} %."
    if unknown:
        yield f"Unknown images are told apart worst on {plain(unknown['domain'])}: AUROC {_cell(unknown, 'auroc')} %."
    if pool:
        yield (
            f"Of the open sets, {plain(pool['open_set'])} is rejected least: {_cell(pool, 'fpr95_id_positive')} % of "
            "its images are accepted when 95 % of the known ones are."
        )
    elif facts["open_sets"] and "fpr95_id_positive" in facts["open_sets"][0]:
        only = facts["open_sets"][0]
        yield (
            f"Unknown images of one open set only were measured ({plain(only['open_set'])}): "
            f"{_cell(only, 'fpr95_id_positive')} % of them are accepted when 95 % of the known ones are."
        )
    if facts["parity"]["passed"] is False:
        yield "The exported graph does not agree with the trained model."


def _gate(facts: Facts) -> Iterator[str]:
    gate = facts["gate"]
    if gate:
        against = f" against champion {plain(gate['champion'])}" if gate.get("champion") else ""
        forced = f", overruled by a person: {plain(gate.get('reason', ''))}" if gate.get("forced") else ""
        yield f"The gate{against} {'passed' if gate.get('passed') else 'refused'} this version{forced}."
        for _, passed, sentence in gate.get("reasons", ()):
            yield f"{'pass' if passed else 'FAIL'}: {plain(sentence)}."


def _lineage(facts: Facts) -> Iterator[str]:
    lineage = facts["lineage"]
    if facts["registered"]:
        yield f"Registered {facts['registered']}" + (
            f" by MLflow run {code(lineage['run'])}." if lineage["run"] else "."
        )
    if lineage["git_commit"]:
        dirty = ", with changes that were not committed" if lineage["git_dirty"] == "true" else ""
        yield f"Commit {code(lineage['git_commit'])}{dirty}."
    if lineage["lock_sha256"]:
        yield f"SHA-256 of the list of packages: {code(lineage['lock_sha256'])}."
    for name, digest in sorted(facts["sha256"].items()):
        if name != "weights":
            yield f"SHA-256 of {plain(name)}: {code(digest)}."
    if facts["created_by"]:
        made = (f"{plain(name)} {plain(version)}" for name, version in facts["created_by"].items())
        yield f"Made with {', '.join(made)}."


def _from_registry(facts: Facts) -> str:
    if not facts["registered"]:
        return ""
    place = f"models:/{facts['model']}/{facts['version']}"
    return (
        "```python\nimport mlflow\nimport pandas as pd\n\n"
        f'model = mlflow.pyfunc.load_model("{place}")\n'
        'print(model.predict(pd.DataFrame({"image": [open("photo.png", "rb").read()]})))\n```\n\n'
        f"Or `croft predict photo.png --model {facts['version']}`.\n"
    )


def _lines(sentences: Iterator[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _cell(row: Mapping[str, Any], key: str) -> str:
    """Percent, with interval and spread where they are known."""
    if key not in row:
        return ""
    text = f"{100 * row[key]:.1f}"
    if f"{key}_low" in row and f"{key}_high" in row:
        text += f" ({100 * row[f'{key}_low']:.1f} to {100 * row[f'{key}_high']:.1f})"
    return text + (f" ± {100 * row[f'{key}_spread']:.1f}" if f"{key}_spread" in row else "")


def _count(row: Mapping[str, Any], key: str) -> str:
    return f"{row[key]:,}" if isinstance(row.get(key), int) else ""


def _paper(paper: Mapping[str, Any]) -> str:
    words = f"{plain(paper.get('authors', ''))}, {plain(paper.get('venue', ''))} {plain(paper.get('year', ''))}"
    url = str(paper.get("url", ""))
    return f"[{words}]({url})" if re.fullmatch(r"https://[\w./%-]+", url) else words


def plain(text: object) -> str:
    """A text that Markdown shows as it is, on one line: names of classes and folders are other people's."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", line)


def code(text: object) -> str:
    """The same as code, where only a backtick ends it."""
    return f"`{' '.join(str(text).replace('`', chr(39)).replace('|', '/').split())}`"
