"""The stand-in as a programmer: edits a script's constants and lines, and errs as models do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from bilevel.llm.scripted.reading import Reading

_OF_A_CONSTANT = 0.55  # that an edit is of a constant and not of the code
_ERRS = 0.3  # that a first reply is broken, in one of the ways below
_WHOLE = 0.08  # that the whole file is given instead of edits
_MENDS = 0.85
_CONSTANT = re.compile(r"^([A-Z][A-Z_]+) = ([0-9][0-9.e*-]*)(  #.*)?$", re.M)
_POWER = re.compile(r"2\*\*(\d+)")
_LOCKED = {"LOSS_ROWS", "GATE_CHANNELS", "DEPTH", "HEAD_DIM"}


@dataclass(frozen=True)
class _Change:
    """A piece of code that it knows how to change, and why it would."""

    search: str
    replace: str
    why: str


CHANGES = (
    _Change(
        "F.linear(squared_relu(F.linear(norm(x), self.up)), self.down)",
        "F.linear(F.gelu(F.linear(norm(x), self.up)), self.down)",
        "GELU instead of squared ReLU should give smoother gradients in so short a run",
    ),
    _Change(
        "    left = (1 - progress) / WARMDOWN_RATIO\n",
        "    left = 0.5 - 0.5 * math.cos(math.pi * (1 - progress) / WARMDOWN_RATIO)\n",
        "a cosine warm-down should keep the learning rate high for longer",
    ),
    _Change(
        "        for _ in range(5):\n            a = torch.bmm(x, x.mT)\n",
        "        for _ in range(3):\n            a = torch.bmm(x, x.mT)\n",
        "three Newton-Schulz iterations should be enough and leave room for more steps",
    ),
    _Change(
        "        scale = lr_scale(progress)\n",
        "        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
        "        scale = lr_scale(progress)\n",
        "clipping gradients should make the first steps safer",
    ),
    _Change(
        "torch.randn(vocab_size, width) * 0.001)",
        "torch.randn(vocab_size, width) * 0.01)",
        "a larger initial head should learn faster in the first steps",
    ),
    _Change(
        "lr: float, momentum: float = 0.95)",
        "lr: float, momentum: float = 0.85)",
        "less momentum should react faster when there are few steps",
    ),
    _Change(
        "        return norm(x)\n\n    def forward",
        "        return norm(x + x0)\n\n    def forward",
        "a skip from the embedding to the output should help a shallow model",
    ),
)
CRASHES = (  # sound code, and what it takes to be the same
    ("adam.step(scale)", "adam.step(lr_factor)"),
    ("WEIGHT_DECAY * (1 - progress)", "WEIGHT_DECAY * (1 - step / total_steps)"),
    ("F.linear(norm(x), self.up)", "F.linear(norm(x), self.up.t())"),
)


def edit(reading: Reading, rng: Random) -> dict[str, Any]:
    """A reply to a question for a patch: the first time at times a broken one."""
    script = reading.fenced.get("The script", "") + "\n"
    if "The error" in reading.sections:
        return _mended(script, rng)
    change = _idea(script, reading.section("Experiments so far"), rng)
    if rng.random() < _WHOLE:
        return _reply(change.why, script=script.replace(change.search, change.replace))
    if rng.random() < _ERRS:
        return _reply(change.why, *rng.choice(list(ERRORS.values()))(change, script, rng))
    return _reply(change.why, change)


def _reply(why: str, *changes: _Change, script: str = "") -> dict[str, Any]:
    edits = [{"search": one.search, "replace": one.replace} for one in changes]
    return {"hypothesis": f"{why[:1].upper()}{why[1:]}.", "edits": edits, "script": script}


def _idea(script: str, history: str, rng: Random) -> _Change:
    known = [one for one in CHANGES if script.count(one.search) == 1]
    fresh = [one for one in known if one.why[1:] not in history]
    if fresh and rng.random() >= _OF_A_CONSTANT:
        return rng.choice(fresh)
    return _constant(script, rng)


def _constant(script: str, rng: Random) -> _Change:
    lines = [m for m in _CONSTANT.finditer(script) if m[1] not in _LOCKED]
    if not lines:
        return _Change(script.splitlines()[0], script.splitlines()[0] + " ", "nothing to add")
    line = rng.choice(lines)
    value = _other(line[2], rng)
    why = f"{line[1]} from {line[2]} to {value} should improve the metric within the budget"
    return _Change(line[0], f"{line[1]} = {value}{line[3] or ''}", why)


def _other(number: str, rng: Random) -> str:
    power = _POWER.fullmatch(number)
    if power:
        return f"2**{int(power[1]) + rng.choice((-2, -1, -1, 1))}"
    if number.isdigit():
        return str(max(1, round(int(number) * rng.choice((0.5, 2)))))
    try:
        value = float(number)
    except ValueError:
        return number + " + 0"
    return f"{value * rng.uniform(0.4, 2.2):.3g}" if value else f"{rng.uniform(0.02, 0.2):.2g}"


def _mended(script: str, rng: Random) -> dict[str, Any]:
    """Takes its mistake back, if it finds it and is in the mood."""
    for sound, broken in CRASHES:
        if broken in script and rng.random() < _MENDS:
            return _reply("the edit used what does not exist", _Change(broken, sound, ""))
    return _reply("the crash may come from the size of a step", _constant(script, rng))


def _no_match(change: _Change, script: str, rng: Random) -> tuple[_Change, ...]:
    """It remembers the line a little differently."""
    return (_Change(f"{change.search.rstrip()}  # tuned", change.replace, change.why),)


def _two_matches(change: _Change, script: str, rng: Random) -> tuple[_Change, ...]:
    """It takes too short a piece."""
    return (_Change("norm(x)", "norm(x.float())", change.why),)


def _syntax_error(change: _Change, script: str, rng: Random) -> tuple[_Change, ...]:
    return (_Change(change.search, change.replace.rstrip("\n") + " if (\n", change.why),)


def crash(change: _Change, script: str, rng: Random) -> tuple[_Change, ...]:
    """With its idea comes a name or a shape that is not there; seen only when it runs."""
    edited = script.replace(change.search, change.replace)
    usable = [pair for pair in CRASHES if edited.count(pair[0]) == 1]
    return (change, *(_Change(*pair, "") for pair in usable[:1]))


_Error = Callable[[_Change, str, Random], tuple[_Change, ...]]
ERRORS: Mapping[str, _Error] = {
    one.__name__.removeprefix("_"): one for one in (_no_match, _two_matches, _syntax_error, crash)
}
