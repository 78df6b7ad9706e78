"""How often an interval of the mean holds the true one, the report's and others, and its length."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from bilevel.search.seed_noise import Noise
from bilevel.statistics import estimates
from tests.bench.statistics.shapes import SHAPES, SIZES, Shape, table

DRAWS, RESAMPLES, BATCH = 2_000, 999, 250
ONE_BY_ONE, CHECKED = 500, 50
Bounds = tuple[Any, Any]  # of every sample


def student(values: Any, _: Any) -> Bounds:
    n = values.shape[1]
    middle, half = values.mean(1), stdtrit(n - 1, 0.975) * values.std(1, ddof=1) / math.sqrt(n)
    return middle - half, middle + half


def johnson(values: Any, resampled: Any) -> Bounds:
    """Student's, moved by the skewness of the sample (Johnson 1978)."""
    n = values.shape[1]
    low, high = student(values, resampled)
    if n < 3:
        return low, high
    third = n * ((values - values.mean(1, keepdims=True)) ** 3).sum(1) / ((n - 1) * (n - 2))
    moved = third / (6 * n * values.var(1, ddof=1))
    return low + moved, high + moved


def bca(values: Any, resampled: Any) -> Bounds:
    """Efron's bias-corrected and accelerated bootstrap, which the report had used."""
    n, seen = values.shape[1], values.mean(1, keepdims=True)
    means = np.sort(resampled.mean(2), axis=1)
    shift = ndtri(((means < seen - 1e-12).mean(1) + (means < seen + 1e-12).mean(1)) / 2)
    left = (seen * n - values) / (n - 1)
    gap = left.mean(1, keepdims=True) - left
    speed = (gap**3).sum(1) / (6 * (gap**2).sum(1) ** 1.5)

    def bound(share: float) -> Any:
        z = shift + ndtri(share)
        place = ndtr(shift + z / (1 - speed * z)) * RESAMPLES
        return means[np.arange(len(means)), np.clip(place.astype(int), 0, RESAMPLES - 1)]

    return bound(0.025), bound(0.975)


def studentized(values: Any, resampled: Any) -> Bounds:
    """The bootstrap-t: quantiles of t over resamples, infinite where too many have no spread."""
    n, middle = values.shape[1], values.mean(1, keepdims=True)
    scale, moved = resampled.std(2, ddof=1) / math.sqrt(n), resampled.mean(2) - middle
    with np.errstate(all="ignore"):
        t = np.where(scale > 1e-12, moved / scale, np.sign(moved) * np.inf)
    t = np.sort(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf), axis=1)
    own = values.std(1, ddof=1) / math.sqrt(n)
    low, high = (t[:, int(share * RESAMPLES)] for share in (0.025, 0.975))
    return middle[:, 0] - high * own, middle[:, 0] - low * own


CANDIDATES = {"Student": student, "Johnson": johnson, "BCa": bca, "bootstrap-t": studentized}


def markdown() -> Iterator[str]:
    yield from table(
        f"Share of {DRAWS:,} intervals of the mean that hold it (95 % promised), and in brackets "
        "their median length in Student's; the report's own has none below "
        f"{estimates.FEWEST_SEEDS} seeds",
        ("values", "n", "report", *CANDIDATES, "sign flips inverted"),
        (row for name, shape in SHAPES.items() for n in SIZES for row in (_row(name, shape, n),)),
    )
    yield from table(
        f"Share of {ONE_BY_ONE} unpaired intervals (Welch's) that hold the difference",
        ("values", "n and n", "spreads", "report"),
        (
            (name, f"{n} and {other}", f"1 to {ratio:g}", f"{_welch(shape, n, other, ratio):.3f}")
            for name, shape in list(SHAPES.items())[:4]
            for n, other in ((5, 5), (8, 8), (5, 12), (20, 20))
            for ratio in (1.0, 4.0)
        ),
    )
    yield from table(
        f"Share of {ONE_BY_ONE} chi-square intervals of a standard deviation that hold it",
        ("noise", *(f"n = {n}" for n in SIZES)),
        (
            (name, *(f"{_deviation(draw, sd, n):.3f}" for n in SIZES))
            for name, draw, sd in (
                ("normal", "normal", 1.0),
                ("uniform", "uniform", math.sqrt(1 / 12)),
                ("exponential", "exponential", 1.0),
            )
        ),
    )


def _row(name: str, shape: Shape, n: int) -> tuple[str, ...]:
    rng = np.random.default_rng(n)
    values = shape.draw(rng, (DRAWS, n))
    found: dict[str, list[Bounds]] = {candidate: [] for candidate in CANDIDATES}
    for start in range(0, DRAWS, BATCH):
        some = values[start : start + BATCH]
        places = rng.integers(0, n, (len(some), RESAMPLES * n))
        resampled = np.take_along_axis(some, places, 1).reshape(len(some), RESAMPLES, n)
        for candidate, bounds in CANDIDATES.items():
            found[candidate].append(bounds(some, resampled))
    cells, unit = [], 1.0
    for candidate, parts in found.items():
        low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
        length = float(np.median(high - low))
        unit = length if candidate == "Student" else unit
        cells.append(f"{_held(low, high, shape.mean):.3f} ({length / unit:.2f})")
    return name, str(n), _own(values, shape.mean), *cells, _inverted(values - shape.mean)


def _held(low: Any, high: Any, true: float) -> float:
    return float(np.mean((low <= true) & (true <= high)))


def _own(values: Any, true: float) -> str:
    """The report's own, which is slower one by one: that it is Student's is looked at in some."""
    low, high = student(values, None)
    some = [estimates.interval(list(row)) for row in values[:CHECKED]]
    known = [one for one in some if one is not None]
    if not known:
        return "none"
    if not np.allclose([(i.low, i.high) for i in known], np.transpose((low, high))[:CHECKED]):
        raise RuntimeError("the report's interval is not Student's")
    return f"{_held(low, high, true):.3f}"


def _inverted(apart: Any) -> str:
    """Of the means that an exact sign-flip test does not refuse; below six seeds it never does."""
    n = apart.shape[1]
    if n < 6:
        return "no end"
    if n <= 10:
        signs = ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1) * 2.0 - 1
    else:
        signs = np.random.default_rng(n).integers(0, 2, (2_000, n)) * 2.0 - 1
    least = np.abs(apart.sum(1))[:, None] - 1e-9
    parts = [slice(start, start + BATCH) for start in range(0, len(apart), BATCH)]
    p = np.concatenate([(np.abs(apart[s] @ signs.T) >= least[s]).mean(1) for s in parts])
    return f"{np.mean(p > 0.05):.3f}"


def _welch(shape: Shape, n: int, other: int, ratio: float) -> float:
    rng, hits, draws = np.random.default_rng(n), 0, ONE_BY_ONE
    a, b = shape.draw(rng, (draws, n)), ratio * shape.draw(rng, (draws, other))
    true = (1 - ratio) * shape.mean
    for one, two in zip(a, b, strict=True):
        found = estimates.difference_interval(list(one), list(two), paired=False)
        hits += found is not None and found.low <= true <= found.high
    return hits / draws


def _deviation(draw: str, sd: float, n: int) -> float:
    values = getattr(np.random.default_rng(n), draw)(size=(ONE_BY_ONE, n))
    found = [Noise("m", tuple(map(float, row))).sd_interval for row in values]
    return float(np.mean([low <= sd <= high for low, high in found]))
