"""Centaur: how often the model is asked, what it is shown, and that CMA-ES hears of everything."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bilevel.baselines.centaur import Centaur, Sampler
from bilevel.errors import ConfigError, SpaceError
from bilevel.parameters import Choice, Float
from bilevel.space import SearchSpace
from bilevel.trace import FailureKind, Proposal
from bilevel.view import Answer, Asker, Brief
from tests.baselines.support import search
from tests.helpers import SPACE, loop
from tests.mechanisms.support import EVERY_KIND, trial, view, walk

LINES = ["RATE", "SHARE", "LAYERS", "BATCH", "BETAS[0]", "BETAS[1]"]


def replying(reply: Mapping[str, Any], seen: list[str] | None = None) -> Asker:
    """Gives this reply to every question, checked as a session does it."""

    def ask(prompt: str, schema: Any, *, check: Any = None, **rest: Any) -> Answer:
        if seen is not None:
            seen.append(prompt)
        try:
            return Answer(check(json.loads(json.dumps(reply))), prompt="digest")
        except (SpaceError, ValueError) as error:
            return Answer(None, str(error), prompt="digest")

    return lambda level, trial, purpose: ask


def proposed(made: Centaur, asker: Asker, count: int = 1) -> Proposal:
    at = view(walk(count), asker=asker)
    return made.propose(at, Brief(at.trace))[0]


ACCEPTS = {"hypothesis": "as it is", "changes": list[Any]()}


def prompt(count: int = 40) -> tuple[str, Centaur]:
    seen: list[str] = []
    made = Centaur(EVERY_KIND, share=1.0)
    proposed(made, replying(ACCEPTS, seen), count)
    return seen[0], made


def section(text: str, name: str) -> list[str]:
    """The table rows under a heading, without its header."""
    body = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
    return [line for line in body.splitlines() if line.startswith("|")][2:]


def test_the_model_is_asked_on_the_share_of_trials_that_it_is_given() -> None:
    for share, low, high in ((0.3, 0.24, 0.36), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        made = Centaur(EVERY_KIND, share=share)
        asked = 0
        for number in range(400):
            trials = [trial(EVERY_KIND, n, {}, 1.0, kept=n == 0) for n in range(number % 20 + 1)]
            at = view(trials, seed=number, asker=replying(ACCEPTS))
            asked += made.propose(at, Brief(at.trace))[0].origin == "llm"
        assert low <= asked / 400 <= high


def test_a_search_asks_once_for_each_trial_of_the_model() -> None:
    ran = search("centaur", seed=2, trials=30)[0]
    mine = [t for t in ran.trace if t.proposal.origin == "llm"]
    assert 3 <= len(mine) <= 15
    assert all(t.proposal.prompt for t in mine)
    assert {t.proposal.origin for t in ran.trace[1:]} == {"llm", "cmaes"}


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"share=30: expected a number in \[0, 1\]"):
        Centaur(EVERY_KIND, share=30)


def test_a_start_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="start='best': expected baseline or middle"):
        Centaur(EVERY_KIND, start="best")


def test_it_starts_where_it_is_told_and_before_it_could_be_in_the_middle() -> None:
    at = EVERY_KIND.baseline
    mean = {start: Sampler(EVERY_KIND, 1, start).cma.mean for start in ("baseline", "middle")}
    assert mean["middle"].tolist() == Sampler(EVERY_KIND, 1).cma.mean.tolist() == [0.5] * len(LINES)
    lines = Sampler(EVERY_KIND, 1).lines
    own = {line.name: line.own(x) for line, x in zip(lines, mean["baseline"], strict=True)}
    assert own["RATE"] == pytest.approx(at["RATE"])
    assert own["SHARE"] == at["SHARE"]
    assert own["BATCH"] == pytest.approx(at["BATCH"])


def test_a_space_without_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least two numbers to search; there are: B"):
        Centaur(SearchSpace((Choice("A", (1, 2), 1), Float("B", 0.0, 1.0, 0.5))))


class TestThePrompt:
    def test_it_holds_mean_step_size_and_covariance(self) -> None:
        text, made = prompt()
        sampler = made._sampler
        assert sampler is not None
        assert sampler.cma.generation >= 3
        assert f"Step size (sigma): {sampler.sigma:.3g}." in text
        rows = section(text, "What CMA-ES has learned")
        cells = [[c.strip() for c in row.strip("|").split("|")] for row in rows]
        means = cells[: len(LINES)]
        assert [row[0] for row in means] == LINES
        covariance = [row for row in cells if row[0].endswith(tuple(LINES)) and row not in means]
        assert [row[0] for row in covariance] == [f"{n} {x}" for n, x in enumerate(LINES, 1)]
        shown = np.array([[float(x) for x in row[1:]] for row in covariance])
        assert shown == pytest.approx(sampler.covariance, rel=0.01, abs=1e-6)
        assert abs(shown - np.diag(np.diag(shown))).max() > 0.01

    def test_the_mean_is_in_the_parameters_own_units(self) -> None:
        text, made = prompt(1)
        assert made._sampler is not None
        rows = {row.split("|")[1].strip(): row for row in section(text, "What CMA-ES has learned")}
        below, above = 10 ** (-1.5 - 0.5), 10 ** (-1.5 + 0.5)
        assert rows["RATE"] == f"| RATE | 0.0316228 | {below:.6g} | {above:.6g} | 0.167 |"
        assert rows["SHARE"] == "| SHARE | 0.25 | 0.166667 | 0.333333 | 0.167 |"
        assert rows["BATCH"] == "| BATCH | 16 | 5.65685 | 45.2548 | 0.167 |"

    def test_it_shows_the_five_best_and_the_last_twenty(self) -> None:
        text, _ = prompt(40)
        trials = walk(40)
        best = sorted((t.value, t.number) for t in trials if t.value is not None)[:5]
        rows = section(text, "Best configurations")
        numbers = [number for _, number in best]
        assert f"Trials {', '.join(map(str, numbers))}, best first." in text
        assert [int(row.split("|")[1]) for row in rows] == [n for n in numbers if n < 20]
        shown = section(text, "Experiments so far")
        assert [int(row.split("|")[1]) for row in shown] == list(range(20, 40))

    def test_it_shows_the_suggestion_and_what_is_drawn_at_random(self) -> None:
        text, _ = prompt()
        active = {row.split("|")[1].strip() for row in section(text, "Active parameters")}
        assert active == {p.name for p in EVERY_KIND.active}
        assert "without CMA-ES: ONLY, PATTERN, SINGLE" in text
        assert "Locked (never change): HELD=5" in text
        assert "$" not in text


class TestAReply:
    def test_its_changes_are_made_to_the_suggestion(self) -> None:
        reply = {"hypothesis": "less", "changes": [{"parameter": "RATE", "value": 0.25}]}
        mine = proposed(Centaur(EVERY_KIND, share=1.0), replying(reply))
        drawn = proposed(Centaur(EVERY_KIND, share=0.0), replying(reply))
        assert mine.changes == {**drawn.changes, "RATE": 0.25}
        assert (mine.origin, mine.hypothesis, mine.prompt) == ("llm", "less", "digest")

    def test_no_changes_run_the_suggestion(self) -> None:
        mine = proposed(Centaur(EVERY_KIND, share=1.0), replying(ACCEPTS))
        drawn = proposed(Centaur(EVERY_KIND, share=0.0), replying(ACCEPTS))
        assert mine.changes == drawn.changes

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ([{"parameter": "RATE", "value": 50}], "RATE=50 is not legal"),
            ([{"parameter": "HELD", "value": 1}], "HELD is locked"),
            ([{"parameter": "RATE", "value": 0.5}] * 2, "listed twice"),
        ],
    )
    def test_one_that_cannot_be_used_is_a_charged_failure(
        self, changes: list[Any], told: str
    ) -> None:
        asker = replying({"hypothesis": "", "changes": changes})
        made = Centaur(EVERY_KIND, share=1.0)
        assert told in proposed(made, asker).problem

        def ask(level: float, trial: int, purpose: str) -> Any:
            return lambda *given, **rest: Answer(None, "no JSON")

        ran = loop(proposer=Centaur(SPACE, share=1.0), trials=3, asker=ask)
        ran.run()
        kinds = [t.outcome.failure.kind for t in ran.trace[1:] if t.outcome.failure]
        assert kinds == [FailureKind.INVALID_PROPOSAL] * 3


class TestTheSampler:
    def test_it_is_told_of_everything_that_ran(self) -> None:
        made = Centaur(EVERY_KIND, share=0.5)
        proposed(made, replying(ACCEPTS), 40)
        assert made._sampler is not None
        assert made._sampler.told == 40

    @pytest.mark.parametrize("seed", range(1, 5))
    def test_it_moves_away_from_what_crashes(self, seed: int) -> None:
        space = SearchSpace((Float("X", 0.0, 1.0, 0.5), Float("Y", 0.0, 1.0, 0.5)))
        sampler = Sampler(space, seed)
        at = view([], space=space)
        crashed = []
        for _ in range(90):
            config = sampler.ask(at)
            crashed.append(config["X"] > 0.5)
            sampler.tell(config, 1e3 if config["X"] > 0.5 else 1.0 + config["Y"])
        assert sum(crashed[:30]) > 2 * sum(crashed[-30:])
        assert dict(zip(("X", "Y"), sampler.cma.mean, strict=True))["Y"] < 0.2

    def test_it_survives_a_long_flat_search(self) -> None:
        sampler = Sampler(EVERY_KIND, seed=1)
        at = view([])
        for _ in range(400):
            config = sampler.ask(at)
            assert EVERY_KIND.check(config) == config
            sampler.tell(config, 1.0)
        assert np.isfinite(sampler.covariance).all()
