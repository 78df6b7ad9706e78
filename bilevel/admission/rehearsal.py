"""The last gate: short searches with and without the mechanism, on a surrogate of the real task.

The surrogate is fitted to the trace so far, and the proposer resamples the trace: no model is
asked, nothing is trained. In the last search regions of the space crash, for mechanisms that react
to failures. A mechanism that fails, or that changes nothing anywhere, is refused; one that did
worse is not.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bilevel.admission.asking import Double
from bilevel.admission.contract import begin
from bilevel.admission.fitted import Fitted
from bilevel.admission.hook_errors import blamed, failure_text
from bilevel.admission.refusal import Refused
from bilevel.admission.resampling import Resampling
from bilevel.admission.twins import Twins
from bilevel.loop.acceptance import Greedy
from bilevel.loop.activations import Effect, HookCall
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.randomness import digest
from bilevel.sandbox.confined_mechanism import ConfinedMechanism
from bilevel.trace import FailureKind, Trial
from bilevel.view import View

SEEDS, TRIALS = 3, 24
_INVALID = 0.9  # of the trials that it caused


@dataclass(frozen=True)
class _Searched:
    """The result of one search on the surrogate."""

    trials: tuple[Trial, ...]
    rows: tuple[HookCall, ...]
    best: float

    def caused(self) -> list[Trial]:
        """Returns the trials whose configuration or parent differs because of the mechanism."""
        return [trial for trial in self.trials if trial.caused_by]


def rehearsed(source: str, twins: Twins, view: View, task: Fitted) -> str:
    """Returns the gate's finding on the searches. Raises Refused."""
    tasks = [*[task] * (SEEDS - 1), task.crashing()]
    without = [_searched(source, [], view, on, number) for number, on in enumerate(tasks)]

    def searches(mechanism: ConfinedMechanism) -> list[_Searched]:
        found = []
        for number, on in enumerate(tasks):
            begin(source, mechanism)
            found.append(_searched(source, [mechanism], view, on, number))
        return found

    with_it = twins.agreed(searches)
    effects = _effects(with_it)
    if not effects:
        raise Refused(_dead(twins.first))
    _check_caused([trial for searched in with_it for trial in searched.caused()])
    return _reported(view, effects, with_it, without)


def _searched(
    source: str, attached: Sequence[Mechanism], view: View, task: Fitted, number: int
) -> _Searched:
    seed = digest(view.seed, view.level, view.trial, "rehearsal", number) % 2**30
    loop = Loop(
        task=task,
        proposer=Resampling(view),
        acceptance=Greedy(),
        level=view.level,
        seed=seed,
        trials=TRIALS,
        pipeline=Pipeline(attached, clock=lambda: 0.0),
        asker=Double(seed).asker,
    )
    loop.settings = view.settings
    where = f"search {number + 1} of {SEEDS}"
    try:
        loop.run()
    except Exception as error:  # whatever it is, a search would have ended with it
        kind = type(error).__name__
        raise Refused(
            f"in {where}, the loop could not go on at trial {len(loop.trace)}: {kind}: {error}",
            f"the loop could not go on: {kind}",
        ) from None
    rows = loop.pipeline.ledger.rows()
    for row in rows:
        if row.effect is Effect.ERROR:
            raise Refused(
                f"in {where}, trial {row.trial}, {failure_text(row.hook, row.error, source)}",
                f"{row.hook} {blamed(row.error, source)}",
            )
    assert loop.best is not None
    assert loop.best.value is not None
    return _Searched(tuple(loop.trace), rows, loop.best.value)


def _effects(searches: Sequence[_Searched]) -> Counter[str]:
    """Returns how often each hook had each kind of effect."""
    changing = (Effect.DECISION, Effect.PROMPT)
    rows = [row for searched in searches for row in searched.rows if row.effect in changing]
    return Counter(f"{row.hook} ({row.effect})" for row in rows)


def _dead(mechanism: ConfinedMechanism) -> str:
    hooks = ", ".join(hook for hook in HOOKS if hook in vars(type(mechanism)))
    return (
        f"dead: in {SEEDS} searches of {TRIALS} trials its hooks ({hooks}) changed no decision and "
        "no prompt; check its conditions and thresholds: each round has the one candidate of the "
        "proposer beside its own, and only in the last search do whole regions crash"
    )


def _check_caused(caused: Sequence[Trial]) -> None:
    failures = [t.outcome.failure for t in caused]
    invalid = [f for f in failures if f and f.kind is FailureKind.INVALID_PROPOSAL]
    if invalid and len(invalid) >= _INVALID * len(caused):
        raise Refused(
            f"{len(invalid)} of the {len(caused)} trials that it caused failed as invalid, the "
            f"first one: {invalid[0].detail}; try changes with view.space.check(...) before "
            "proposing them"
        )


def _reported(
    view: View, effects: Counter[str], with_it: Sequence[_Searched], without: Sequence[_Searched]
) -> str:
    difference = fmean(a.best - b.best for a, b in zip(with_it, without, strict=True))
    better = view.objective.wanted
    listed = ", ".join(f"{name} {count} times" for name, count in sorted(effects.items()))
    return (
        f"{SEEDS} searches of {TRIALS} trials on a surrogate fitted to {view.trial} trials, the "
        f"last one with crashes: it changed {listed}; best {view.objective.metric} with it "
        f"{_numbers(with_it)}, without {_numbers(without)}, mean difference {difference:+.4g} "
        f"({better} is better). The surrogate is a sanity check, not a judgement"
    )


def _numbers(searches: Sequence[_Searched]) -> str:
    return ", ".join(f"{searched.best:.5g}" for searched in searches)
