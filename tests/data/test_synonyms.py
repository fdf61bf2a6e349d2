from __future__ import annotations

from collections import Counter

import pytest

from pipeline.data.synonyms import overlaps, shipped, spelling

PACS = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]
VLCS = ["bird", "car", "chair", "dog", "person"]
CALTECH = ["BACKGROUND_Google", "Faces", "Faces_easy", "Leopards", "Motorbikes", "car_side", "chair", "dalmatian"]
CALTECH += ["electric_guitar", "elephant", "emu", "flamingo", "flamingo_head", "garfield", "hedgehog", "ibis", "pigeon"]
CALTECH += ["rooster", "sea_horse", "snoopy", "wheelchair", "windsor_chair", "yin_yang"]
DTD = ["banded", "blotchy", "chequered", "dotted", "honeycombed", "zigzagged"]
FOOD = ["apple_pie", "hot_dog", "donuts", "carrot_cake", "pizza", "steak"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Dog", "dog"),
        ("alarm_clock", "Alarm Clock"),
        ("AlarmClock", "alarm-clock"),
        ("airplanes", "airplane"),
        ("candles", "Candle"),
        ("butterflies", "butterfly"),
        ("dog_2", "dogs"),
        ("human", "person"),
        ("Faces_easy", "person"),
        ("automobile", "car_side"),
        ("knives", "Knife"),
        ("7", "seven"),
    ],
)
def test_the_same_class(a: str, b: str) -> None:
    assert overlaps([a], [b]) == {b: a}
    assert overlaps([b], [a]) == {a: b}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("hot_dog", "dog"),
        ("sea_horse", "horse"),
        ("sunflower", "lotus"),  # two kinds of flower
        ("emu", "ibis"),
        ("mandolin", "guitar"),
        ("bus", "bu"),
        ("Boeing 737", "Boeing 747"),
        ("Audi S4 2007", "Audi S4 2012"),
        ("glass", "glas"),
    ],
)
def test_different_classes(a: str, b: str) -> None:
    assert overlaps([a], [b]) == overlaps([b], [a]) == {}


def test_overlaps_of_the_benchmarks_pools() -> None:
    assert overlaps(PACS, CALTECH) == {
        "Faces": "person",
        "Faces_easy": "person",
        "dalmatian": "dog",
        "snoopy": "dog",
        "electric_guitar": "guitar",
        "elephant": "elephant",
    }
    birds = dict.fromkeys(("emu", "flamingo", "flamingo_head", "ibis", "pigeon", "rooster"), "bird")
    chairs = dict.fromkeys(("chair", "wheelchair", "windsor_chair"), "chair")
    people = {"Faces": "person", "Faces_easy": "person"}
    assert overlaps(VLCS, CALTECH) == birds | chairs | people | {"dalmatian": "dog", "snoopy": "dog", "car_side": "car"}
    assert overlaps(PACS, DTD + FOOD) == {}
    assert overlaps(["cake", "donut", "hot dog", "pizza"], FOOD) == {
        "hot_dog": "hot dog",
        "donuts": "donut",
        "carrot_cake": "cake",
        "pizza": "pizza",
    }


def test_groups_of_ones_own_extend_the_list() -> None:
    assert overlaps(["lorikeet"], ["trichoglossus"]) == {}
    assert overlaps(["lorikeet"], ["Trichoglossus"], [["lorikeet", "trichoglossus"]]) == {"Trichoglossus": "lorikeet"}


def test_spelling_tells_folders_apart_that_are_two_classes() -> None:
    assert spelling("Dog") == spelling("dog") == spelling("DOG ")
    assert spelling("alarm_clock") == spelling("Alarm Clock")
    assert spelling("cafe\u0301") == spelling("caf\u00e9")  # two encodings of one accent
    assert spelling("dog") != spelling("dogs")


def test_no_thing_has_two_groups() -> None:
    names = Counter(name for group in shipped() for name in group.same)
    assert {name for name, count in names.items() if count > 1} == set()
    assert all(len(group.same) + len(group.kinds) > 1 for group in shipped())
    assert not any(group.same & group.kinds for group in shipped())
