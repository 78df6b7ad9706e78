"""Helpers for mechanisms: unit coordinates, legal steps, what ran, whose candidates are first.

Pure functions of their arguments. A parameter has one coordinate in [0, 1] for a number (of its
logarithm for a `log` Float and a PowerOfTwo), one for each place of a Tuple, one for each value of
a Choice (one-hot); Subset and Text have none. In the examples `view` is a loop over `RATE`, whose
trials 1 and 2 gave 0.8 and crashed after a baseline of 1.0 at 0.1.
"""

import math
from collections.abc import Iterable, Sequence

from bilevel.errors import SpaceError
from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value
from bilevel.space import Config, canonical
from bilevel.trace import FailureKind, Proposal
from bilevel.view import View

UP, DOWN = "up", "down"
_MOVABLE = (Float, Int, PowerOfTwo, Choice, Tuple)


def open_parameters(view: View) -> tuple[Parameter, ...]:
    """The parameters that may be moved: not locked, not frozen by a level above, of a kind that
    has coordinates and steps.
    >>> [parameter.name for parameter in open_parameters(view)]
    ['RATE']
    """
    frozen = view.settings.get("frozen", ())
    held = frozen if isinstance(frozen, tuple) else ()
    return tuple(p for p in view.space.active if p.name not in held and isinstance(p, _MOVABLE))


def unit(parameter: Parameter, value: Value) -> tuple[float, ...]:
    """The coordinates of a legal value, as many as the kind has.
    >>> unit(Float("RATE", 0.01, 1.0, 0.1, log=True), 0.1), unit(Choice("K", (1, 2), 1), 2)
    ((0.5,), (0.0, 1.0))
    """
    if isinstance(parameter, Choice):
        return tuple(float(choice == value) for choice in parameter.choices)
    if isinstance(parameter, Tuple) and isinstance(value, tuple):
        spans = zip(parameter.low, parameter.high, value, strict=True)
        return tuple(_place(low, high, part) for low, high, part in spans)
    if isinstance(parameter, Float | Int | PowerOfTwo) and isinstance(value, int | float):
        log = isinstance(parameter, PowerOfTwo) or (isinstance(parameter, Float) and parameter.log)
        return (_place(parameter.low, parameter.high, value, log=log),)
    return ()


def from_unit(parameter: Parameter, coordinates: Sequence[float]) -> Value:
    """The legal value nearest to these coordinates, which are clipped to [0, 1]: a whole number or
    power of two is rounded, a real one has six digits, of a Choice the largest coordinate counts
    (the first of equal ones). Raises SpaceError for a kind that has none.
    >>> from_unit(PowerOfTwo("BATCH", 1, 256, 16), [0.6])
    32
    """
    x = [min(max(float(part), 0.0), 1.0) for part in coordinates]
    if isinstance(parameter, Choice):
        places = range(len(parameter.choices))
        return parameter.choices[max(places, key=lambda place: x[place])]
    if isinstance(parameter, Tuple):
        ends = zip(parameter.low, parameter.high, x, strict=True)
        return tuple(_moved(low, high, low, part) for low, high, part in ends)
    if isinstance(parameter, Float):
        return _moved(parameter.low, parameter.high, parameter.low, x[0], log=parameter.log)
    if isinstance(parameter, Int):
        return round(parameter.low + x[0] * (parameter.high - parameter.low))
    if isinstance(parameter, PowerOfTwo):
        low, high = parameter.low.bit_length() - 1, parameter.high.bit_length() - 1
        return 1 << round(low + x[0] * (high - low))
    raise SpaceError(f"{parameter.name} has no coordinates: take those of open_parameters(view)")


def owners(parameters: Sequence[Parameter]) -> list[int]:
    """For each coordinate of a point, the place in `parameters` of the one it belongs to.
    >>> owners([Int("LAYERS", 1, 6, 3), Choice("KIND", ("a", "b"), "a")])
    [0, 1, 1]
    """
    return [place for place, p in enumerate(parameters) for _ in unit(p, p.baseline)]


def point(parameters: Sequence[Parameter], config: Config) -> list[float]:
    """The coordinates of a configuration, one parameter's after the other's: `len(owners(...))`.
    >>> point([Int("LAYERS", 1, 5, 3), Choice("KIND", ("a", "b"), "a")], {"LAYERS": 2, "KIND": "b"})
    [0.25, 0.0, 1.0]
    """
    return [x for parameter in parameters for x in unit(parameter, config[parameter.name])]


def snapped(parameters: Sequence[Parameter], coordinates: Sequence[float]) -> dict[str, Value]:
    """The legal values nearest to a point, by name. Raises ValueError for a point of another
    length.
    >>> snapped([Int("LAYERS", 1, 5, 3), Choice("KIND", ("a", "b"), "a")], [0.3, 0.2, 0.7])
    {'LAYERS': 2, 'KIND': 'b'}
    """
    parts: list[list[float]] = [[] for _ in parameters]
    for owner, coordinate in zip(owners(parameters), coordinates, strict=True):
        parts[owner].append(coordinate)
    return {p.name: from_unit(p, part) for p, part in zip(parameters, parts, strict=True)}


def distance(parameters: Sequence[Parameter], one: Config, other: Config) -> float:
    """From 0 for equal to 1 for opposite ends everywhere: the root mean square over parameters of
    the largest difference in any of a parameter's coordinates.
    >>> distance([Int("LAYERS", 1, 5, 3)], {"LAYERS": 2}, {"LAYERS": 4})
    0.5
    """
    total = 0.0
    for p in parameters:
        pairs = zip(unit(p, one[p.name]), unit(p, other[p.name]), strict=True)
        total += max((abs(a - b) for a, b in pairs), default=0.0) ** 2
    return math.sqrt(total / len(parameters)) if parameters else 0.0


def step(parameter: Parameter, value: Value, way: str, size: float) -> Value | None:
    """The value a step of `size` (of its whole range, at least one whole number or octave) that
    way, one of `parameter.directions`, stopped at the bound; None where nothing lies that way.
    >>> step(Int("LAYERS", 1, 9, 3), 3, UP, 0.25), step(Int("LAYERS", 1, 9, 3), 9, UP, 0.25)
    (5, None)
    """
    made: Value
    if isinstance(parameter, Choice):
        found = [choice for choice in parameter.choices if f"to {choice}" == way]
        return found[0] if found and found[0] != value else None
    if isinstance(parameter, Tuple) and isinstance(value, tuple):
        place, _, sign = way.partition(" ")
        at = int(place)
        part = _moved(parameter.low[at], parameter.high[at], value[at], _sign(sign) * size)
        made = (*value[:at], part, *value[at + 1 :])
    elif isinstance(parameter, Float) and isinstance(value, int | float):
        made = _moved(parameter.low, parameter.high, value, _sign(way) * size, log=parameter.log)
    elif isinstance(parameter, Int) and isinstance(value, int):
        by = _sign(way) * max(1, round(size * (parameter.high - parameter.low)))
        made = min(max(value + by, parameter.low), parameter.high)
    elif isinstance(parameter, PowerOfTwo) and isinstance(value, int):
        octaves = math.log2(parameter.high / parameter.low)
        moved = value * 2.0 ** (_sign(way) * max(1, round(size * octaves)))
        made = int(min(max(moved, parameter.low), parameter.high))
    else:
        return None
    return None if made == value else made


def changes_to(view: View, config: Config) -> dict[str, Value]:
    """What a proposal has to change of `view.base` to be what `config` is in its open parameters.
    >>> changes_to(view, {"RATE": 0.5})
    {'RATE': 0.5}
    """
    names = [parameter.name for parameter in open_parameters(view)]
    return {name: config[name] for name in names if config[name] != view.base[name]}


def runs(view: View) -> list[tuple[Config, float | None]]:
    """What really ran, in order: the configuration and its loss, lower is better whatever the
    objective; None where it failed. Invalid proposals and duplicates ran nothing and are left out;
    re-tests are runs.
    >>> runs(view)
    [({'RATE': 0.1}, 1.0), ({'RATE': 0.2}, 0.8), ({'RATE': 0.9}, None)]
    """
    found: list[tuple[Config, float | None]] = []
    for trial in view.trace:
        failure = trial.outcome.failure
        invalid = failure is not None and failure.kind is FailureKind.INVALID_PROPOSAL
        if not invalid and trial.duplicate_of is None:
            value = trial.value
            found.append((trial.config, None if value is None else view.objective.loss(value)))
    return found


def measured(view: View) -> list[tuple[Config, float]]:
    """Those of `runs` that have a loss.
    >>> measured(view)
    [({'RATE': 0.1}, 1.0), ({'RATE': 0.2}, 0.8)]
    """
    return [(config, loss) for config, loss in runs(view) if loss is not None]


def failed(view: View) -> list[Config]:
    """The configurations of `runs` that failed.
    >>> failed(view)
    [{'RATE': 0.9}]
    """
    return [config for config, loss in runs(view) if loss is None]


def best_and_latest(
    shown: Sequence[tuple[Config, float | None]], most: int
) -> list[tuple[Config, float | None]]:
    """At most so many of `runs`, in order: the best ones and the latest, half of each. What is
    fitted to runs takes time by a power of their number, and a search may have hundreds.
    >>> best_and_latest(runs(view), 2)
    [({'RATE': 0.2}, 0.8), ({'RATE': 0.9}, None)]
    """
    count = len(shown)
    if count <= most:
        return list(shown)
    losses = [math.inf if loss is None else loss for _, loss in shown]
    best = sorted(range(count), key=lambda n: losses[n])[: most - most // 2]
    return [shown[n] for n in sorted({*best, *range(count - most // 2, count)})]


def tried(view: View) -> set[str]:
    """The configurations of all trials, each as its `canonical` text.
    >>> sorted(tried(view))
    ['{"RATE":0.1}', '{"RATE":0.2}', '{"RATE":0.9}']
    """
    return {canonical(dict(trial.config)) for trial in view.trace}


def fresh(view: View, configs: Iterable[Config]) -> list[Config]:
    """The whole configurations that were never tried, each once, in order.
    >>> fresh(view, [{"RATE": 0.2}, {"RATE": 0.3}, {"RATE": 0.3}])
    [{'RATE': 0.3}]
    """
    seen, found = tried(view), dict[str, Config]()
    for config in configs:
        found.setdefault(canonical(dict(config)), config)
    return [config for text, config in found.items() if text not in seen]


def mine_first(name: str, candidates: Sequence[Proposal]) -> list[Proposal]:
    """The candidates of `review` with those of the mechanism of this name before the others.
    >>> [c.origin for c in mine_first("me", [Proposal({}, "", "llm"), Proposal({}, "", "me")])]
    ['me', 'llm']
    """
    return sorted(candidates, key=lambda candidate: candidate.origin != name)


def _sign(way: str) -> int:
    return 1 if way == UP else -1


def _moved(low: float, high: float, value: float, by: float, *, log: bool = False) -> float:
    made = value * (high / low) ** by if log else value + by * (high - low)
    return min(max(float(f"{made:.6g}"), low), high)


def _place(low: float, high: float, value: float, *, log: bool = False) -> float:
    if high <= low:
        return 0.0
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
