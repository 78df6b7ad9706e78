"""Centaur: CMA-ES searches, and on a share of its trials a language model has the last word."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cmaes import CMA

from bilevel.baselines.axes import BASELINE, MIDDLE, Axes
from bilevel.baselines.results import Results, drawn_once
from bilevel.errors import ConfigError
from bilevel.llm.prompts import Prompt, cell
from bilevel.llm.reply import MAX_HYPOTHESIS, by_name
from bilevel.llm.schemas import TEXT, changes, record
from bilevel.llm.tables import best_so_far, experiment, parameter_list, printed, table
from bilevel.randomness import digest, keyed
from bilevel.space import Config, SearchSpace
from bilevel.trace import Proposal, Trial, elites
from bilevel.view import NO_SETTINGS, Brief, View

_PROMPT = Prompt(Path(__file__).with_suffix(".md"))
_SIGMA = 1 / 6  # of every range: what Optuna starts CMA-ES with
SAMPLER, MODEL = "cmaes", "llm"  # whose proposal a trial was


class Sampler:
    """CMA-ES over the numbers of a space, in coordinates that map each range to [0, 1].

    It starts at the space's `baseline`, or in the `middle` of the ranges. Parameters that are not
    numbers are drawn at random, as Optuna's CMA-ES does. Raises ConfigError for parameters it
    cannot search.
    """

    def __init__(self, space: SearchSpace, seed: int, start: str = MIDDLE) -> None:
        self._axes = Axes(space.active)
        self.lines = self._axes.lines
        if len(self.lines) < 2:
            names = ", ".join(line.name for line in self.lines) or "none"
            raise ConfigError(f"CMA-ES needs at least two numbers to search; there are: {names}")
        count = len(self.lines)
        bounds = np.tile([0.0, 1.0], (count, 1))
        middle = np.full(count, 0.5)
        mean = middle if start == MIDDLE else self._point(space.baseline)
        self.cma = CMA(mean=mean, sigma=_SIGMA, bounds=bounds, seed=seed)
        self.told = 0
        self._waiting: list[tuple[Any, float]] = []

    @property
    def sigma(self) -> float:
        return float(self.cma._sigma)  # no public name, as for C: pyproject.toml caps cmaes

    @property
    def covariance(self) -> Any:
        """Return C: (lines, lines), without the step size."""
        return self.cma._C

    def tell(self, config: Config, loss: float) -> None:
        """Adds a result; CMA-ES updates once it has as many as its population."""
        self._waiting.append((self._point(config), loss))
        self.told += 1
        if len(self._waiting) == self.cma.population_size:
            self.cma.tell(self._waiting)
            self._waiting = []

    def _point(self, config: Config) -> Any:
        at = self._axes.encode(config)
        return np.array([line.unit(at[line.name]) for line in self.lines])

    def ask(self, view: View) -> dict[str, Any]:
        """Return the next configuration of the active parameters."""
        drawn = {p.name: p.sample(view.rng) for p in view.space.active}
        point = self.cma.ask()
        at = {line.name: line.place(float(x)) for line, x in zip(self.lines, point, strict=True)}
        return self._axes.decode({**self._axes.encode(drawn), **at})


class Centaur:
    """On a `share` of the trials, by a coin keyed to the trial, the model is shown the mean, step
    size and covariance of CMA-ES, its suggestion, the `best` configurations and the last `shown`
    trials, and its own configuration is run instead. CMA-ES starts where `start` says (searches
    begun before it could: in the middle), and is told every result. `recorded` keeps what it
    suggests in the journal: see `OptunaSearch`.

    Ferreira et al., arXiv 2603.24647; a reconstruction: theirs lets CMA-ES run its first ten
    trials alone, calls the model on every third trial after that, and puts CMA-ES's own
    suggestion in the place of a reply that cannot be used. Here that is a failed trial, as for
    every proposer.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace,
        *,
        share: float = 0.3,
        best: int = 5,
        shown: int = 20,
        temperature: float | None = None,
        start: str = MIDDLE,
        recorded: bool = False,
    ) -> None:
        if start not in (BASELINE, MIDDLE):
            raise ConfigError(f"centaur: start={start!r}: expected {BASELINE} or {MIDDLE}")
        if not 0 <= share <= 1:
            raise ConfigError(f"centaur: share={share!r}: expected a number in [0, 1]")
        Sampler(space, seed=0)
        self._share = share
        self._best = best
        self._shown = shown
        self._temperature = temperature
        self._start = start
        self._recorded = recorded
        self._sampler: Sampler | None = None
        self._results = Results()

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        if self._sampler is None:
            seed = digest(view.seed, view.level, "centaur") % 2**32
            self._sampler = Sampler(view.space, seed, self._start)
        for config, loss in self._results.news(view):
            self._sampler.tell(config, loss)
        suggestion = self._sampler.ask(view)
        if self._recorded:
            suggestion = dict(drawn_once(view, suggestion))
        if keyed(view.seed, view.level, view.trial, "centaur").random() >= self._share:
            changes = _differing(view, suggestion)
            return [Proposal(changes, "drawn by CMA-ES", SAMPLER)]
        return [self._asked(view, brief, self._sampler, suggestion)]

    def _asked(
        self, view: View, brief: Brief, sampler: Sampler, suggestion: Mapping[str, Any]
    ) -> Proposal:
        """Return the model's configuration as a proposal; an unusable reply becomes its problem."""

        def check(reply: Any) -> tuple[dict[str, Any], str]:
            legal = view.space.check(by_name(reply["changes"]))
            return {**suggestion, **legal}, cell(reply["hypothesis"], MAX_HYPOTHESIS)

        answer = view.ask(
            self._prompt(view, brief, sampler, suggestion),
            _schema(view.space),
            check=check,
            temperature=self._temperature,
        )
        if answer.problem:
            return Proposal({}, origin=MODEL, prompt=answer.prompt, problem=answer.problem)
        config, hypothesis = answer.value
        return Proposal(_differing(view, config), hypothesis, MODEL, answer.prompt)

    def _prompt(
        self, view: View, brief: Brief, sampler: Sampler, suggestion: Mapping[str, Any]
    ) -> str:
        recent = brief.trials[-self._shown :] if self._shown else ()
        best = elites(brief.trials, view.objective, self._best)
        numbers = {line.name for line in sampler.lines}
        random = [a.name for a in Axes(view.space.active).all if a.name not in numbers]
        base = view.space.baseline
        return _PROMPT.render(
            metric=view.objective.metric,
            better=view.objective.wanted,
            best=best_so_far(view),
            trials_left="unlimited" if view.trials_left is None else str(view.trials_left),
            facts=experiment(view.about, source=False),
            active=parameter_list(view.space.active, suggestion, view.about.meanings),
            locked=", ".join(f"{n}={printed(base[n])}" for n in view.space.locked) or "none",
            told=f"It was told {sampler.told} results, and has moved {sampler.cma.generation} "
            f"times, once every {sampler.cma.population_size}.",
            sigma=f"{sampler.sigma:.3g}",
            first_sigma=f"{_SIGMA:.3g}",
            mean=_mean_table(sampler),
            covariance=_covariance_table(sampler),
            random=", ".join(random) or "nothing",
            best_trials=", ".join(str(trial.number) for trial in best) or "none",
            elites=_config_table([trial for trial in best if trial not in recent], view),
            shown=f"{len(recent)} of {len(view.trace)} shown.",
            history=_config_table(recent, view),
            notes=brief.text.strip() or "none",
            max_changes=str(len(view.space.active)),
        )


def _mean_table(sampler: Sampler) -> str:
    """Return a table of the mean and one standard deviation to either side, in the parameters'
    own units."""
    sds = sampler.sigma * np.sqrt(np.diag(sampler.covariance))
    rows = []
    for line, mean, sd in zip(sampler.lines, sampler.cma.mean, sds, strict=True):
        ends = [f"{line.own(float(mean + by * sd)):.6g}" for by in (-1, 0, 1)]
        rows.append((line.name, ends[1], ends[0], ends[2], f"{sd:.3f}"))
    return table("| parameter | mean | one sd below | one sd above | sd / range |", rows)


def _covariance_table(sampler: Sampler) -> str:
    """Return C as a table, one row per line, with numbered columns."""
    count = len(sampler.lines)
    rows = [
        (f"{number} {line.name}", *(f"{entry:.3g}" for entry in row))
        for number, (line, row) in enumerate(
            zip(sampler.lines, sampler.covariance, strict=True), start=1
        )
    ]
    return table("| C | " + " | ".join(str(n + 1) for n in range(count)) + " |", rows)


def _config_table(trials: Sequence[Trial], view: View) -> str:
    """Return a table with one row per trial and its whole configuration: CMA-ES changes
    everything at once."""
    names = [parameter.name for parameter in view.space.active]
    rows = []
    for trial in trials:
        failure = trial.outcome.failure
        value = "" if trial.value is None else f"{trial.value:.6g}"
        result = "ran" if failure is None else cell(f"{failure.kind}: {failure.detail}")
        shown = (cell(printed(trial.config[name])) for name in names)
        rows.append((str(trial.number), value, result, *shown))
    if not rows:
        return "(no experiments are shown)"
    return table(f"| trial | {view.objective.metric} | result | {' | '.join(names)} |", rows)


def _differing(view: View, config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value != view.base[name]}


def _schema(space: SearchSpace) -> dict[str, Any]:
    names = [parameter.name for parameter in space.active]
    listed = changes(names, most=len(names), least=0)
    return record({"hypothesis": TEXT, "changes": listed})
