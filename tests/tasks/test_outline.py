"""What is left of a source for whoever sets its constants."""

import ast
from pathlib import Path

from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.tasks.outline import outline

SOURCE = '''"""Trains."""

import math

# Sizes
WIDTH = 4  # of a layer
RATE = (
    0.5
)
OTHER = 1


class Layer:
    """A layer."""

    def __init__(self, width):
        self.width = width

    def spread(self):
        """How wide."""
        a = 1
        return self.width + a

    @property
    def used(self):
        # why
        return WIDTH


def outer(
    a: int,
) -> int: ...


async def waits():
    x = 1
    return x


def main():
    layer = Layer(WIDTH)
    return step(layer, rate=RATE)


def step(layer, rate):
    total = rate
    return total
'''
OUTLINE = '''"""Trains."""

import math

OTHER = 1


class Layer:
    """A layer."""

    def __init__(self, width):
        self.width = width

    def spread(self):
        """How wide."""
        ...

    @property
    def used(self):
        # why
        return WIDTH


def outer(
    a: int,
) -> int: ...


async def waits(): ...


def main():
    layer = Layer(WIDTH)
    return step(layer, rate=RATE)


def step(layer, rate):
    total = rate
    return total
'''


def test_what_reads_a_constant_or_is_given_one_stays_and_the_rest_is_outlined() -> None:
    assert outline(SOURCE, ["WIDTH", "RATE"]) == OUTLINE


def test_without_constants_only_what_is_offered_is_left() -> None:
    left = outline(SOURCE)
    assert "WIDTH = 4  # of a layer" in left
    assert "total" not in left
    ast.parse(left)


def test_other_languages_and_broken_files_stay_as_they_are() -> None:
    for text in ("#!/bin/sh\necho $RATE\n", "def broken(:\n", "a\x00b"):
        assert outline(text, ["RATE"]) == text


def test_a_real_script_keeps_every_use_and_loses_a_third(tmp_path: Path) -> None:
    source = SCRIPT.read_text()
    names = ["WEIGHT_DECAY", "MATRIX_LR", "WARMDOWN_RATIO", "WINDOW_PATTERN", "HEAD_DIM"]
    left = outline(source, names)
    ast.parse(left)
    for name in names:
        assert left.count(name) == source.count(name) - 1  # its assignment
    assert "1 - lr * weight_decay" in left  # what is given one uses it so
    assert len(left) < 0.75 * len(source)
