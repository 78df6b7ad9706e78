"""The space of a landscape: parameters of mixed kinds whose names say nothing."""

from random import Random

from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple

_KINDS = {"even": 4, "log": 4, "int": 2, "power": 2, "choice": 3, "tuple": 1}  # how often
_OPTIONS = ("A", "B", "C", "D", "E")
_LEAST, _MOST = 8, 14
_LEAST_NUMBERS = 6  # for a cliff, effects of several of them, and some that are left over


def parameters(rng: Random) -> tuple[Parameter, ...]:
    """8 to 14 of them; each baseline is the low end or the first option, to be put right later.

    Whole numbers and powers of two have at least five values, so that points three tenths of a
    range apart are never the same one.
    """
    count = rng.randint(_LEAST, _MOST)
    kinds = rng.choices(tuple(_KINDS), tuple(_KINDS.values()), k=count)
    while count - kinds.count("choice") < _LEAST_NUMBERS:
        kinds[kinds.index("choice")] = "even"
    return tuple(_parameter(f"P{place:02}", kind, rng) for place, kind in enumerate(kinds, 1))


def _parameter(name: str, kind: str, rng: Random) -> Parameter:
    match kind:
        case "even":
            low, length = rng.choice((0.0, 0.0, 1.0, -1.0)), rng.choice((1.0, 2.0, 5.0))
            scale = 10.0 ** rng.randint(-2, 1)
            low, high = (float(f"{end * scale:.6g}") for end in (low, low + length))
            return Float(name, low, high, low)
        case "log":
            low = float(f"{rng.choice((1, 2, 5))}e{rng.randint(-6, 0)}")
            high = float(f"{low * rng.choice((20.0, 100.0, 1000.0)):.6g}")
            return Float(name, low, high, low, log=True)
        case "int":
            least = rng.randint(0, 4)
            return Int(name, least, least + rng.randint(4, 40), least)
        case "power":
            low = 2 ** rng.randint(0, 12)
            return PowerOfTwo(name, low, low * 2 ** rng.randint(4, 8), low)
        case "choice":
            return Choice(name, _OPTIONS[: rng.randint(2, 5)], _OPTIONS[0])
        case _:
            lows = tuple(rng.choice((0.0, 0.5, 0.8)) for _ in range(2))
            return Tuple(name, lows, (1.0, 1.0), lows)
