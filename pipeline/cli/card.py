"""`croft card`: the model card of a version, or of exported files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.cli.model import Chosen, choose_model


def print_card(model: str, *, as_json: bool, output: Path | None) -> None:
    """Print the card, or write it to a file.

    Raises:
        CroftError: there is no such model, or its card is unreadable.
        OSError: the file cannot be written.
    """
    from pipeline.registry.card.markdown import render
    from pipeline.tables import write_text

    facts = facts_of(choose_model(model))
    text = f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n" if as_json else render(facts)
    if output is None:
        print(text, end="")
    else:
        write_text(text, output)


def facts_of(chosen: Chosen) -> dict[str, Any]:
    """What a model's card says: all that the registry tracked, or what card.json says of files."""
    if chosen.registered:
        from pipeline.registry.card.tracked import version_facts

        return version_facts(chosen.name, chosen.version)
    from pipeline.registry.card.facts import Tracked, card_facts
    from pipeline.serving.card import read_card
    from pipeline.tables import read_json

    read_card(chosen.card)  # refuses what is no card
    return card_facts(read_json(chosen.card), Tracked(chosen.name, chosen.version))
