"""The stand-in as a rewriter: a whole configuration at a time, and its repair after a failure."""

from random import Random
from typing import Any

from bilevel.llm.scripted.moves import moved
from bilevel.llm.scripted.proposing import BATCH, propose
from bilevel.llm.scripted.reading import Move, Reading, moves_in

_DRIFTS = 0.12  # that it also touches a parameter that it had no plan for; batches it holds settled
_DRIFT = 0.3
_FORGETS = 0.04
_OVERSHOOTS = 0.03
_BLAMES_ANOTHER = 0.15


def rewrite(reading: Reading, rng: Random, temperature: float) -> dict[str, Any]:
    """A reply to the rewriting prompt, or to the one that shows what failed."""
    if "What failed" in reading.sections:
        return _repaired(reading, rng)
    planned = propose(reading, rng, temperature)
    values = {change["parameter"]: change["value"] for change in planned["changes"]}
    for knob in reading.knobs:
        if knob.name not in {*values, *BATCH} and rng.random() < _DRIFTS:
            value = moved(knob, rng.choice(("up", "down")), rng, _DRIFT)
            if value is not None:
                values[knob.name] = value
    return _spoilt(_whole(reading, planned["hypothesis"], values), rng)


def _repaired(reading: Reading, rng: Random) -> dict[str, Any]:
    """What the failure names goes back, or everything if it names nothing; at times the wrong one
    is blamed."""
    made = moves_in(reading.section("What had been changed"))
    told = reading.section("What failed")
    blamed = [move for move in made if move.name in told] or list(made)
    if made and rng.random() < _BLAMES_ANOTHER:
        blamed = [rng.choice(made)]
    names = " and ".join(move.name for move in blamed) or "nothing"
    plan = f"It failed because of {names}, which goes back to what worked."
    return _whole(reading, plan, {move.name: move.old for move in blamed if _known(move)})


def _known(move: Move) -> bool:
    return move.old is not None


def _whole(reading: Reading, plan: str, values: dict[str, Any]) -> dict[str, Any]:
    listed = [{"parameter": k.name, "value": values.get(k.name, k.value)} for k in reading.knobs]
    return {"plan": plan, "configuration": listed}


def _spoilt(reply: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Now and then a parameter is forgotten, or a value lies outside its range."""
    listed, draw = reply["configuration"], rng.random()
    if draw < _FORGETS and len(listed) > 1:
        listed.pop(rng.randrange(len(listed)))
    elif draw < _FORGETS + _OVERSHOOTS and listed:
        rng.choice(listed)["value"] = 1e9
    return reply
