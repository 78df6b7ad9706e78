"""The cost model is linear, non-negative and part of the frozen hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bilevel.tasks.cpu_gpt import coefficients, fit_cost, identity
from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER
from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds
from bilevel.tasks.cpu_gpt.fit_cost import Sample, fit, non_negative_least_squares


def test_every_operation_costs_something() -> None:
    assert tuple(SECONDS_PER) == FEATURES
    assert all(rate > 0 for rate in SECONDS_PER.values())


def test_seconds_are_linear_in_counts() -> None:
    counts = {name: i + 1 for i, name in enumerate(FEATURES)}
    assert seconds({n: 3 * c for n, c in counts.items()}) == pytest.approx(3 * seconds(counts))


def test_non_negative_least_squares() -> None:
    a = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert non_negative_least_squares(a, np.array([2.0, 3.0, 5.0])) == pytest.approx([2.0, 3.0])
    assert non_negative_least_squares(a, np.array([2.0, -3.0, 0.0])) == pytest.approx([1.0, 0.0])


def test_the_fit_recovers_the_rates_that_made_the_timings() -> None:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(20):
        counts = {name: int(rng.integers(10**6, 10**9)) for name in FEATURES}
        counts["slow_bytes"] = 0
        samples.append(Sample(str(i), counts, seconds(counts)))
    slow = dict.fromkeys(FEATURES, 0) | {"slow_bytes": 10**6}
    fitted = fit(samples, [Sample("tanh", slow, seconds(slow))])
    assert fitted == pytest.approx(SECONDS_PER, rel=2e-3)


def test_written_rates_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "coefficients.py"
    monkeypatch.setattr(coefficients, "__file__", str(path))
    fit_cost.write(SECONDS_PER)
    scope: dict[str, object] = {}
    exec(path.read_text(), scope)
    assert scope["SECONDS_PER"] == SECONDS_PER
    assert path.read_text() == Path(identity.__file__).with_name("coefficients.py").read_text()


def test_digests_are_stable_and_tell_script_from_evaluator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, evaluator = identity.frozen_digest(), identity.evaluator_digest()
    assert frozen == identity.frozen_digest() != evaluator
    changed = tmp_path / "train.py"
    changed.write_text(identity.SCRIPT.read_text() + "\n")
    monkeypatch.setattr(identity, "SCRIPT", changed)
    assert identity.frozen_digest() != frozen
    assert identity.evaluator_digest() == evaluator


def test_numerics_name_the_processor() -> None:
    found = identity.numerics()
    assert {"torch", "numpy", "machine", "capability"} <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())
