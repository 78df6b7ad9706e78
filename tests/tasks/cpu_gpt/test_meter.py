"""The meter counts the same on every machine, whoever starts an operation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bilevel.errors import BadInput
from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds
from bilevel.tasks.cpu_gpt.fit_cost import training_step
from bilevel.tasks.cpu_gpt.job import Job, JobError
from bilevel.tasks.cpu_gpt.meter import BudgetError, Meter, OpCounter


def counted(program: Callable[[], object]) -> dict[str, int]:
    counter = OpCounter()
    with counter:
        program()
    return counter.counts


def test_first_and_later_training_steps_count_the_same() -> None:
    step = training_step({"TOTAL_BATCH_SIZE": 2**10, "DEVICE_BATCH_SIZE": 4, "ASPECT_RATIO": 32})
    first, second, third = counted(step), counted(step), counted(step)
    assert first == second == third
    assert first["mm_macs"] > 0
    assert first["bmm_macs"] > 0


def test_a_matrix_product_counts_its_multiplies_forward_and_backward() -> None:
    a = torch.ones(3, 5, requires_grad=True)
    b = torch.ones(5, 7, requires_grad=True)
    assert counted(lambda: torch.autograd.grad((a @ b).sum(), (a, b)))["mm_macs"] == 3 * 3 * 5 * 7


@pytest.mark.parametrize(
    ("program", "feature", "amount"),
    [
        (lambda x: x + x, "bytes", 3 * 4 * 6),
        (lambda x: x.view(3, 2).t()[0], "bytes", 0),
        (torch.empty_like, "bytes", 0),
        (lambda x: x.tanh(), "slow_bytes", 2 * 4 * 6),
        (lambda x: x.softmax(-1), "softmax_bytes", 2 * 4 * 6),
        (lambda x: torch.nn.functional.embedding(torch.tensor([1]), x), "bytes", 2 * 4 * 3),
        (lambda x: torch.bmm(x[None], x.t()[None]), "bmm_macs", 2 * 3 * 2),
    ],
)
def test_what_an_operation_touches(
    program: Callable[[torch.Tensor], object], feature: str, amount: int
) -> None:
    x = torch.ones(2, 3)
    assert counted(lambda: program(x))[feature] == amount


def test_steps_fill_the_budget_and_never_exceed_it() -> None:
    x = torch.ones(64, 64)
    meter = Meter(1e-3)
    progress = []
    for done in meter:
        torch.mm(x, x)
        progress.append(done)
    assert meter.steps == len(progress) > 3
    assert meter.used_s <= meter.budget_s < meter.used_s + meter.step_s
    assert progress == sorted(progress)
    assert progress[0] == 0.0
    assert meter.step_s == seconds(meter.counts)


def test_only_the_first_step_is_counted_unless_asked() -> None:
    def costs(count_every_step: bool) -> float:
        meter = Meter(1e-4, count_every_step=count_every_step)
        for _ in meter:
            if meter.steps:
                torch.ones(300, 300).mul_(2)
            else:
                torch.ones(3, 3).mul_(2)
        return meter.step_s

    assert costs(True) > costs(False)


def test_a_budget_below_one_step_still_takes_one() -> None:
    meter = Meter(1e-5)
    for _ in meter:
        torch.ones(100, 100).mul_(2)
    assert meter.steps == 1


def test_a_step_far_above_the_budget_is_stopped() -> None:
    meter = Meter(1e-5)
    x = torch.ones(256, 256)

    def train() -> None:
        for _ in meter:
            torch.mm(x, x)

    with pytest.raises(BudgetError, match="10 times the budget"):
        train()
    meter.close()


def test_leaving_the_loop_stops_counting() -> None:
    meter = Meter(1.0)
    for _ in meter:
        break
    meter.close()
    torch.ones(3)
    assert meter.counts == dict.fromkeys(FEATURES, 0)


@pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan")])
def test_budgets_are_positive(budget_s: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        Meter(budget_s)


def make_job(tokens: int = 1000) -> Job:
    data = np.arange(tokens).astype(np.uint16)
    return Job(Meter(1.0), seed=4, vocab_size=tokens, time_len=8, tokens=data)


def test_sequences_do_not_depend_on_how_they_are_batched() -> None:
    one, two = make_job(), make_job()
    whole, _ = one.batch(6)
    parts = torch.cat([two.batch(1)[0], two.batch(3)[0], two.batch(2)[0]])
    assert torch.equal(whole, parts)


def test_targets_are_the_next_tokens_and_an_epoch_repeats_nothing() -> None:
    job = make_job()
    inputs, targets = job.batch(124)
    assert torch.equal(inputs + 1, targets)
    assert len(set(inputs[:, 0].tolist())) == 124


def test_a_text_shorter_than_a_sequence_is_refused() -> None:
    with pytest.raises(JobError, match="longer text"):
        make_job(tokens=8)
