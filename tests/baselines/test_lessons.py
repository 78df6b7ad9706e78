"""Lessons fade, count double where they were learned, and more when something broke."""

import pytest

from bilevel.baselines.lessons import Lesson, weightiest

OLD = Lesson("evaluate", "crash", "error", "old", 0)
NEW = Lesson("evaluate", "no gain", "info", "new", 30)


def test_a_lesson_halves_with_its_half_life() -> None:
    assert NEW.weight("propose", 30, 30) == 1.0
    assert NEW.weight("propose", 60, 30) == pytest.approx(0.5)
    assert NEW.weight("evaluate", 60, 30) == pytest.approx(1.0)
    assert OLD.weight("propose", 0, 30) == 1.5
    assert OLD.weight("evaluate", 30, 30) == pytest.approx(1.5)


def test_the_weightiest_come_first_and_the_younger_among_equals() -> None:
    equal = [Lesson("propose", "x", "info", str(n), 30) for n in range(3)]
    found = weightiest([OLD, *equal, NEW], "propose", 30, count=4, half_life=30)
    assert [one.description for one in found] == ["0", "1", "2", "new"]
    assert weightiest([OLD, NEW], "propose", 30, count=1, half_life=30) == [NEW]
    assert str(OLD) == "- [crash] old"
