"""Made-up searches with the shape of real ones, for whoever tests what is written about them."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from bilevel.llm.ledger import Call
from bilevel.parameters import Float, PowerOfTwo
from bilevel.space import Config, SearchSpace
from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.tracking import MechanismRecord, SearchInfo, Tracker, TrialRecord

OBJECTIVE = Objective("val_bpb")
SPACE = SearchSpace(
    (
        PowerOfTwo("TOTAL_BATCH_SIZE", 2**12, 2**20, 2**19),
        *(Float(name, 1e-3, 2.0, 0.5) for name in ("MATRIX_LR", "EMBEDDING_LR", "SCALAR_LR")),
        *(Float(name, 0.0, 1.0, 0.2) for name in ("WEIGHT_DECAY", "WARMUP_RATIO", "FINAL_LR_FRAC")),
        *(Float(f"KNOB_{letter}", 0.0, 1.0, 0.5) for letter in "ABCDEFGH"),
    )
)


def info(arm: str = "A", seed: int = 1, study: str = "demo", **other: object) -> SearchInfo:
    fields: dict[str, object] = {
        "llm": "scripted",
        "task": "surrogate",
        "search_id": f"{study}-{arm}-{seed}",
        "fingerprint": "f00d",
        "objective": OBJECTIVE,
        "config_yaml": f"arm: {arm}\nseed: {seed}\n",
        **other,
    }
    return SearchInfo(study=study, arm=arm, seed=seed, **fields)  # type: ignore[arg-type]


def call(number: int, level: int = 1, problem: str = "") -> Call:
    """One exchange with the model, as long as real ones are."""
    return Call(
        key=f"L{level}/T{number}/propose/0",
        level=level,
        trial=number,
        purpose="propose/0",
        messages=(
            {"role": "system", "content": "You improve a training script."},
            {"role": "user", "content": "The script so far:\n" + "x = 1\n" * 400},
        ),
        text='{"changes": {"MATRIX_LR": 0.03}, "hypothesis": "smaller steps late"}',
        prompt_tokens=900,
        completion_tokens=40,
        seconds=0.5,
        problem=problem,
    )


def trial(  # one trial as plainly as possible, for hand-computed numbers
    number: int,
    value: float | None,
    decision: Decision,
    moves: frozenset[tuple[str, str]] = frozenset(),
    duplicate_of: int | None = None,
) -> Trial:
    outcome = (
        Outcome(value, metrics={"steps": 300.0}, cost={"modelled_s": 10.0}, clock={"wall_s": 0.1},
                notes={"train.py.diff": "-A = 1\n+A = 2\n"})
        if value is not None
        else Outcome.failed(FailureKind.DIVERGENCE, "the loss became NaN at step 12",
                            notes={"output.txt": "loss nan\n"})
    )  # fmt: skip
    proposal = Proposal({}, "a smaller step may settle", "baseline" if number == 0 else "llm")
    parent = None if number == 0 else 0
    return Trial(
        number, parent, proposal, SPACE.baseline, 7, outcome, decision, duplicate_of, moves
    )


def records(arm: str, seed: int, trials: int = 15, calls: bool = True) -> Iterator[TrialRecord]:
    """A noisy descent: arms differ in how boldly they move, seeds in their luck."""
    rng = Random(f"{arm}/{seed}")
    bold = {"A": 0.3, "B": 0.6, "C": 1.0}.get(arm, 0.5)
    baseline = best = 1.10 + rng.gauss(0, 0.002)
    config: Config = SPACE.baseline
    for number in range(trials + 1):
        name = rng.choice([p.name for p in SPACE.parameters[:7]])
        tried = {**config, name: SPACE[name].sample(rng)} if number else config
        moves = SPACE.moves(config, tried)
        value: float | None = baseline if number == 0 else best + rng.gauss(0.004, 0.01 * bold)
        if number and rng.random() < 0.1:
            value = None
        kept = number == 0 or (value is not None and value < best)
        decision = Decision.FAIL if value is None else Decision.KEEP if kept else Decision.DISCARD
        shaped = trial(number, value, decision, moves)
        if kept and value is not None:
            best, config = value, tried
        yield TrialRecord(
            level=1,
            trial=shaped,
            baseline=baseline,
            best=best,
            calls=(call(number),) if calls and number else (),
            totals={
                "tokens": 940.0 * number,
                "llm_calls": float(number),
                "usd": 0.0,
                "modelled_s": 10.0 * (number + 1),
                "wall_s": 0.1 * (number + 1),
            },
        )


def mechanism(state: str = "live", rows: int = 3) -> MechanismRecord:
    return MechanismRecord(
        name="tabu",
        carrier="code",
        state=state,
        source="class Tabu: ...\n",
        rows=[{"trial": i, "hook": "review", "effect": "decision"} for i in range(rows)],
        counts={"review.decision": rows},
    )


def outer(number: int = 1) -> TrialRecord:
    return TrialRecord(
        level=2, trial=trial(number, -0.004, Decision.KEEP), calls=(call(number, level=2),)
    )


def run_search(
    tracker: Tracker, arm: str, seed: int, *, study: str = "demo", trials: int = 15,
    end: str = "done", journal: Path | None = None,
) -> None:  # fmt: skip
    """Tells a tracker a whole search; one without an end is left."""
    tracker.start(info(arm, seed, study, journal=journal))
    last = None
    for last in records(arm, seed, trials):
        tracker.trial(last)
        if last.trial.number % 5 == 0 and last.trial.number:
            tracker.trial(outer(last.trial.number // 5))
            tracker.mechanisms([mechanism(rows=last.trial.number)])
    if end and last is not None:
        tracker.end(end, {"confirmed_delta": -0.003})
    elif not end:
        tracker.leave_running()
