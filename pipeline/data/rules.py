"""The checks of the data: what each tests, in which table and column, and how a fault is worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.images import FORMATS, SHOWN

if TYPE_CHECKING:
    import pandas as pd

MODES = (
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"),
    *("I", "I;16", "I;16L", "I;16B", "I;16N"),
)
"""Pillow's modes with a defined range of values, which `images.to_rgb` converts to 8 bits; "F" has none."""

MAX_IMBALANCE = 100.0
"""Largest over smallest known class of a domain; beyond it a folder is more likely misplaced than rare (VLCS: 56)."""

MAX_PIECES = 5
"""Tokens that a word of a class name may be split into. CLIP's vocabulary splits one word of ImageNet's 1,000 names
into more (xoloitzcuintli), and names that are not words (n02084071, cls0031)."""


UNITS = {
    "images": ("image", "path"),
    "refused": ("file", "path"),
    "folders": ("class folder", "folder"),
    "groups": ("group", "group"),
    "classes": ("class", "class"),
    "pools": ("pool class", "folder"),
}
"""Table to what one of its rows is, in the singular, and the column that names the row."""


@dataclass(frozen=True)
class Rule:
    """One check: every row of a table must have a value within bounds, one of a set of values, or no value.

    Attributes:
        check: id, as in params `data.fatal`.
        says: what is wrong with a row that fails.
        where: table (one of UNITS) and column, as in "images", "format".
        each: the wording of one fault; a template over the row's columns.
        at_least, at_most: inclusive bounds of a number; NaN passes.
        among: the values that pass. Without bounds and `among`, only None passes, and a value describes the fault.
    """

    check: str
    says: str
    table: str
    column: str
    each: str
    at_least: float | None = None
    at_most: float | None = None
    among: tuple[str, ...] | None = None

    @property
    def unit(self) -> str:
        """What a row is, in the singular."""
        return UNITS[self.table][0]

    @property
    def name(self) -> str:
        """The column that names a row."""
        return UNITS[self.table][1]

    def faults(self, frame: pd.DataFrame) -> pd.Series:
        """Which rows fail; the expectation fails on the same rows."""
        import pandas as pd

        values = frame[self.column]
        if self.among is not None:
            return values.notna() & ~values.isin(self.among)
        if self.forbids:
            return values.notna()
        low = values < self.at_least if self.at_least is not None else pd.Series(False, index=frame.index)
        return low | (values > self.at_most) if self.at_most is not None else low

    def worded(self, frame: pd.DataFrame) -> pd.Series:
        """Every fault in words, indexed as its row."""
        import pandas as pd

        bad = frame[self.faults(frame)]
        columns = {column: bad[column].tolist() for column in bad.columns}
        rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        return pd.Series([self.each.format_map(row) for row in rows], index=bad.index, dtype=object)

    @property
    def forbids(self) -> bool:
        """Whether any value at all is a fault."""
        return self.among is None and self.at_least is None and self.at_most is None

    def expectation(self, expectations: Any, *, fatal: bool) -> Any:
        """The rule as one of Great Expectations' `expectations`, on the column named after the check."""
        shared = {
            "column": self.check,
            "meta": {"check": self.check},
            "severity": "critical" if fatal else "warning",
            "description": f"{'fatal' if fatal else 'warning'}: {self.says}",
        }
        if self.among is not None:
            return expectations.ExpectColumnValuesToBeInSet(value_set=list(self.among), **shared)
        if self.forbids:
            return expectations.ExpectColumnValuesToBeNull(**shared)
        return expectations.ExpectColumnValuesToBeBetween(min_value=self.at_least, max_value=self.at_most, **shared)

    def lines(self, faults: pd.DataFrame, limit: int) -> tuple[list[str], int]:
        """The first faults in words, and how many rows they cover; a pair of rows is listed once."""
        covered: set[str] = set()
        lines: list[str] = []
        for row in faults.head(3 * limit).to_dict("records"):  # a line covers at most two rows, so three rows suffice
            if len(lines) == limit:
                break
            if row[self.name] not in covered:
                lines.append(self.each.format_map(row))
                covered.add(row[self.name])
                covered.add(str(row[self.column]).split(" (")[0] if self.pairs else "")
        return lines, len(covered - {""})

    @property
    def pairs(self) -> bool:
        """Whether the value names another row that fails too."""
        return self.column.startswith(("copy_", "alike_", "spelt_like"))


def rules(*, min_side: int, context: int) -> tuple[Rule, ...]:
    """All checks of the manifest, in the order in which they are shown.

    Args:
        min_side: pixels.
        context: tokens that the text tower accepts, start and end included.
    """
    few_images = "too few images (shots + validation, or 1 of an unknown class)"
    smaller = f"more than {MAX_IMBALANCE:.0f} times smaller than the largest class of the domain"
    too_long = f"a prompt longer than the text tower's context of {context} tokens"
    no_word = f"a word of the name unknown to the tokenizer, or split into more than {MAX_PIECES} tokens"
    catch_all = "named like what belongs to no class (list it in data.unknown, or name it in backbone.class_names)"
    return (
        Rule("complete", "values missing from the manifest", "images", "missing", "{path} lacks {missing}"),
        Rule("refused", "refused, not used", "refused", "problem", "{path}: {problem}"),
        Rule(
            "empty_class",
            "without a usable image",
            "folders",
            "problem",
            "{folder} ({files} refused; the first is {first}: {problem})",
        ),
        Rule(
            "large_enough",
            f"shorter side below data.min_side ({min_side} pixels)",
            "images",
            "shorter_side",
            "{path} ({shorter_side} pixels)",
            at_least=min_side,
        ),
        Rule(
            "known_format",
            f"format not one of {SHOWN}",
            "images",
            "format",
            "{path} ({format})",
            among=FORMATS,
        ),
        Rule(
            "convertible_mode",
            "colour mode without a conversion to 8-bit RGB",
            "images",
            "mode",
            "{path} ({mode})",
            among=MODES,
        ),
        Rule("whole_files", "damaged, but the whole picture can be read", "images", "defect", "{path} {defect}"),
        _pair("duplicates_within_class", "equal files in one folder", "copy_in_class"),
        _pair("duplicates_across_classes", "equal files in two classes", "copy_in_other_class"),
        _pair("duplicates_across_domains", "equal files in two domains", "copy_in_other_domain"),
        _pair("near_duplicates_across_classes", "images that look alike in two classes", "alike_in_other_class"),
        _pair("near_duplicates_across_domains", "images that look alike in two domains", "alike_in_other_domain"),
        Rule("enough_images", few_images, "groups", "missing", "{group} has {images} of {required} images", at_most=0),
        Rule("class_balance", smaller, "groups", "imbalance", "{group} ({images} images)", at_most=MAX_IMBALANCE),
        Rule(
            "class_names_distinct",
            "spelled like another class, in folders or in prompts",
            "classes",
            "spelt_like",
            "{class} and {spelt_like}",
        ),
        Rule("class_names_fit", too_long, "classes", "tokens", "{class} ({tokens:.0f} tokens)", at_most=context),
        Rule(
            "class_names_known",
            no_word,
            "classes",
            "pieces",
            "{class} ({pieces:.0f} tokens)",
            at_least=1,
            at_most=MAX_PIECES,
        ),
        Rule("class_names_catch_all", catch_all, "classes", "catch_all", "{class}"),
        Rule(
            "open_set_disjoint",
            "an unknown class with the meaning of a known one",
            "classes",
            "means",
            "{class} means {means}",
        ),
        Rule("pools_disjoint", "a known class under another name", "pools", "means", "{folder} means {means}"),
    )


def _pair(check: str, says: str, column: str) -> Rule:
    sign = "=" if column.startswith("copy_") else "~"
    return Rule(check, says, "images", column, f"{{path}} {sign} {{{column}}}")


def severity(rule: Rule, fatal: Sequence[str]) -> str:
    """`fatal` or `warning`."""
    return "fatal" if rule.check in fatal else "warning"


def all_faults(
    checks: Sequence[Rule], tables: Mapping[str, pd.DataFrame], worded: Mapping[str, pd.Series], fatal: Sequence[str]
) -> pd.DataFrame:
    """Every fault, for repairs by script: columns check, severity, name and fault.

    Args:
        checks: the rules for `tables`.
        tables: frames by name.
        worded: check id to its faults in words.
        fatal: ids of checks that stop a run.
    """
    import pandas as pd

    parts = [pd.DataFrame(columns=["check", "severity", "name", "fault"], dtype=object)]
    for rule in checks:
        text = worded[rule.check]
        names = tables[rule.table].loc[text.index, rule.name].astype(object)
        parts.append(
            pd.DataFrame({"check": rule.check, "severity": severity(rule, fatal), "name": names, "fault": text})
        )
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
