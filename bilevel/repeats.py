"""Measures one configuration at several seeds, each once: for noise, and for confirmation."""

from collections.abc import Iterator, Mapping, Sequence

from bilevel.executor import Executor, Request
from bilevel.journal import Journal
from bilevel.tasks.base import Task
from bilevel.trace import Outcome, Proposal


def repeated(
    task: Task,
    proposal: Proposal,
    seeds: Mapping[str, int],
    journal: Journal,
    executor: Executor,
) -> Iterator[Outcome]:
    """The outcomes by the seeds' keys in the journal, in order, each there before the next is
    looked at. The proposal changes the baseline."""
    config = dict(task.effective(task.configured(None, proposal)))
    requests = {key: {"config": config, "seed": seed} for key, seed in seeds.items()}
    unknown = [seeds[k] for k, asked in requests.items() if not journal.holds("outcome", k, asked)]
    results = executor.outcomes(task, [Request(None, proposal, seed) for seed in unknown])
    for key, request in requests.items():
        answer = journal.once(
            "outcome", key, lambda: next(results).to_json(), request=request, durable=True
        )
        yield Outcome.from_json(answer)


def seed_reaches(*measured: Sequence[Outcome]) -> bool | None:
    """Whether any of these configurations had two values that differ; None where none had two."""
    values = [[o.value for o in outcomes if o.value is not None] for outcomes in measured]
    if all(len(each) < 2 for each in values):
        return None
    return any(len(set(each)) > 1 for each in values)
