"""Differences by hand: what is the same bytes elsewhere has moved, and each file moves once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.versioning.difference import Difference, compare


def test_added_removed_changed_and_moved_are_told_apart() -> None:
    old = {"p/dog/1.png": "a", "p/dog/2.png": "b", "p/dog/3.png": "c", "p/cat/4.png": "d"}
    new = {"p/dog/1.png": "a", "p/dog/2.png": "B", "p/cat/3.png": "c", "open_sets/t/x/5.png": "e"}
    found = compare(old, new)
    assert found == Difference(
        added=("open_sets/t/x/5.png",),
        removed=("p/cat/4.png",),
        changed=("p/dog/2.png",),
        moved=(("p/dog/3.png", "p/cat/3.png"),),
    )
    assert found.by_class() == {
        ("open_sets/t", "x"): {"added": 1},
        ("p", "cat"): {"removed": 1, "moved": 1},  # counted where the image is now
        ("p", "dog"): {"changed": 1},
    }


def test_of_equal_copies_each_moves_once() -> None:
    # Two of three copies left: the first two paths that came take them, in order; the third is new.
    old = {"d/c/1.png": "a", "d/c/2.png": "a", "d/c/9.png": "a"}
    new = {"d/c/9.png": "a", "d/e/1.png": "a", "d/e/2.png": "a", "d/e/3.png": "a"}
    found = compare(old, new)
    assert found.moved == (("d/c/1.png", "d/e/1.png"), ("d/c/2.png", "d/e/2.png"))
    assert found.added == ("d/e/3.png",)
    assert found.removed == ()


def test_equal_versions_differ_in_nothing() -> None:
    assert not compare({"d/c/1.png": "a"}, {"d/c/1.png": "a"})
    assert compare({}, {"d/c/1.png": "a"})


FILES = st.dictionaries(st.sampled_from([f"d/{c}/{n}.png" for c in "ab" for n in range(4)]), st.sampled_from("xyz"))


@given(FILES, FILES)
def test_applied_to_the_old_version_it_gives_the_new_one(old: dict[str, str], new: dict[str, str]) -> None:
    found = compare(old, new)
    built = {path: md5 for path, md5 in old.items() if path not in found.removed}
    moving = {target: built.pop(source) for source, target in found.moved}
    built |= moving | {path: new[path] for path in (*found.added, *found.changed)}
    assert built == new
    assert not set(found.changed) & {path for path in old.keys() & new.keys() if old[path] == new[path]}
