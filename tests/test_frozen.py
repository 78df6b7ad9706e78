"""What leaves a loop is read-only through and through."""

import copy
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bilevel.frozen import FrozenDict, frozen
from bilevel.loop.activations import Effect
from bilevel.mechanism import Mechanism
from bilevel.trace import Outcome, Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import GUIDED, Listed, Parabola, loop

DEEP = {"a": [1, {"b": [2]}], "c": ({"d": {3}},)}
ATTEMPTS: dict[str, Callable[[Any], Any]] = {
    "set": lambda d: d.__setitem__("x", 1),
    "delete": lambda d: d.__delitem__("a"),
    "clear": lambda d: d.clear(),
    "pop": lambda d: d.pop("a"),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("x", 1),
    "update": lambda d: d.update(x=1),
    "or": lambda d: d.__ior__({"x": 1}),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_every_way_to_change_a_mapping_is_refused(attempt: Callable[[Any], Any]) -> None:
    made = frozen(DEEP)
    for mapping in (made, made["a"][1], made["c"][0]):
        with pytest.raises(TypeError, match="read-only"):
            attempt(mapping)
    assert made == {"a": (1, {"b": (2,)}), "c": ({"d": {3}},)}


def test_it_is_a_dict_to_json_pickle_and_copies() -> None:
    made = frozen({"a": [1, 2], "b": {"c": 3}})
    assert json.loads(json.dumps(made)) == {"a": [1, 2], "b": {"c": 3}}
    assert pickle.loads(pickle.dumps(made)) == made
    assert type(pickle.loads(pickle.dumps(made))) is FrozenDict
    for thawed in (dict(made), copy.copy(made), copy.deepcopy(made), made | {}):
        thawed["x"] = 1
    copy.deepcopy(made)["b"]["x"] = 1
    assert "x" not in made
    assert "x" not in made["b"]


class Meddler(Mechanism):
    """Tries to change what it is shown, at every hook."""

    name = "meddler"

    def __init__(self, attempt: Callable[[View, Any], Any]) -> None:
        self._attempt = attempt

    def parent(self, view: View) -> int | None:
        self._attempt(view, None)
        return None

    def brief(self, view: View, brief: Brief) -> Brief:
        self._attempt(view, brief)
        return brief

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        self._attempt(view, candidates)
        return candidates

    def observe(self, view: View, trial: Trial) -> None:
        self._attempt(view, trial)


def _brief(thing: Any) -> None:
    if isinstance(thing, Brief):
        thing.trials.append(1)  # type: ignore[attr-defined]
    raise AttributeError


MEDDLING: dict[str, Callable[[Any, Any], Any]] = {
    "settings": lambda view, _: view.settings.__setitem__("guidance", "x"),
    "config": lambda view, _: view.trace[0].config.__setitem__("X", 1.0),
    "metrics": lambda view, _: view.trace[0].outcome.metrics.update(gain=9.0),
    "cost": lambda view, _: view.trace[0].outcome.cost.clear(),
    "notes": lambda view, _: view.trace[0].outcome.notes.pop("x", None),
    "changes": lambda view, _: view.trace[-1].proposal.changes.setdefault("X", 0.0),
    "trace": lambda view, _: view.trace.append(view.trace[0]),
    "incumbent": lambda view, _: setattr(view.incumbent, "value", 0.0),
    "space": lambda view, _: view.space._by_name.clear(),
    "brief": lambda view, thing: _brief(thing),
}


@pytest.mark.parametrize("attempt", MEDDLING.values(), ids=MEDDLING)
def test_an_attempt_is_the_mechanisms_error_and_changes_nothing(
    attempt: Callable[[Any, Any], Any],
) -> None:
    def searched(*mechanisms: Mechanism) -> Any:
        moves: list[dict[str, object]] = [{"X": 4.0}, {"X": 3.0}, {"X": 2.0}]
        proposer = Listed(*moves, settings=GUIDED)
        made = loop(*moves, mechanisms=mechanisms, task=Parabola(), proposer=proposer)
        made.run()
        return made

    with_it, plain = searched(Meddler(attempt)), searched()
    assert list(with_it.trace) == list(plain.trace)
    assert with_it.settings == plain.settings
    rows = with_it.pipeline.ledger.rows("meddler")
    assert rows
    assert {row.effect for row in rows} == {Effect.ERROR}


def test_every_record_is_frozen_whoever_made_it() -> None:
    metrics: Any = {"x": [1]}
    outcome: Any = Outcome(1.0, metrics=metrics, notes={"n": "t"})
    metrics["x"].append(2)
    assert outcome.metrics == {"x": (1,)}
    assert Brief([]).trials == ()
