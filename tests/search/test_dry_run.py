import re
from typing import Any

import pytest
from hydra.errors import HydraException

from bilevel.errors import BilevelError
from bilevel.search.dry_run import plan, together
from bilevel.search.seed_noise import with_measured_noise
from tests import test_conf


def composed(*overrides: str) -> dict[str, Any]:
    """As the command gives them to a plan."""
    return with_measured_noise(test_conf.composed(*overrides))


def test_trials_and_time_are_what_is_charged() -> None:
    on_cpu = plan(composed("task.budget_s=5", "search.trials=30", "search.confirm_seeds=5"))
    assert (on_cpu.trials, on_cpu.others, on_cpu.limit_h) == (30, 11, 0)
    assert on_cpu.modelled_h == pytest.approx(41 * 5 / 3600)
    on_gpu = plan(composed("task=autoresearch", "search.trials=30", "search.confirm_seeds=0"))
    assert (on_gpu.others, on_gpu.modelled_h) == (1, 0)
    assert on_gpu.limit_h == pytest.approx(31 * 600 / 3600)


@pytest.mark.parametrize(
    ("arm", "calls"),
    [
        *(("random", 0), ("tpe", 0), ("level1", 30), ("level1_5", 35), ("bilevel", 43)),
        *(("level2", 38), ("sham", 43), ("centaur", 10), ("optuna", 30), ("evoscientist", 72)),
        *(("karpathy", 33), ("iid_llm", 30), ("level1_tokens", 39)),
        *(("level2 outer.levels.inventor.session=free", 32), ("bilevel_screened", 43)),
        ("bilevel_screened_sham outer.levels.inventor.session=diagnose", 67),
    ],
)
def test_calls_are_those_of_every_level(arm: str, calls: int) -> None:
    assert plan(composed(*f"arm={arm}".split())).calls == calls


def test_more_tokens_are_counted_where_an_arm_spends_more() -> None:
    spent = {
        arm: plan(composed(f"arm={arm}", "llm.price_per_mtok_in=1", "llm.price_per_mtok_out=2"))
        for arm in ("level1", "bilevel", "sham")
    }
    level1 = spent["level1"]
    assert level1.usd == pytest.approx((level1.tokens_in + 2 * level1.tokens_out) / 1e6)
    assert spent["bilevel"].usd > spent["level1"].usd
    assert spent["bilevel"].tokens_in == spent["sham"].tokens_in


@pytest.mark.parametrize(
    ("task", "arm", "measured"),
    [
        *(("trap", "level1", 44_978), ("trap", "bilevel", 98_307), ("trap", "level2", 84_397)),
        *(("cpu_gpt", "level1", 135_333), ("cpu_gpt", "level1_5", 164_273)),
        *(("cpu_gpt", "sham outer.context=source", 206_674), ("cpu_gpt", "evoscientist", 97_846)),
        *(("cpu_gpt", "claw_refine", 56_483), ("trap", "claw_refine", 47_877)),
    ],
)
def test_tokens_are_about_those_that_searches_of_30_trials_spent(
    task: str, arm: str, measured: int
) -> None:
    made = plan(composed(f"task={task}", *f"arm={arm}".split()))
    assert measured / 1.3 < made.tokens_in + made.tokens_out < measured * 1.3
    assert not made.guessed


@pytest.mark.parametrize("context", ["interface", "source"])
@pytest.mark.parametrize("task", ["trap", "cpu_gpt"])
def test_the_control_of_tokens_is_planned_with_those_of_bilevel(task: str, context: str) -> None:
    control, treated = (
        plan(composed(f"task={task}", f"arm={a}", f"outer.context={context}"))
        for a in ("level1_tokens", "sham")
    )
    both = [made.tokens_in + made.tokens_out for made in (control, treated)]
    assert both[0] == pytest.approx(both[1], rel=0.15)


def test_a_task_that_is_not_there_to_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTORESEARCH", raising=False)
    made = plan(composed("task=autoresearch"))
    assert made.guessed
    assert str(made).endswith("US dollars (its task is not there to be read: as on cpu_gpt)")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["task=script", "task.file=no.py"], "no.py cannot be read as a script"),
        (["task=surrogate", "task.landscape=hill"], "task.landscape=hill is unknown"),
        (["task=autoresearch", "task.checkout=/nowhere"], "/nowhere has no train.py"),
        (["arm=tpe", "task=surrogate", "task.landscape=hill"], "task.landscape=hill is unknown"),
        (["task=cpu_gpt_code"], "choose arm=karpathy"),
        (["mechanisms=restart", "mechanisms.restart.period=0"], "restart: period=0"),
    ],
)
def test_what_cannot_be_made_is_told_by_its_plan(overrides: list[str], told: str) -> None:
    with pytest.raises((BilevelError, HydraException), match=re.escape(told)):
        plan(composed(*overrides))


def test_a_sweep_is_the_sum_of_its_searches() -> None:
    two = together([plan(composed("arm=level1")), plan(composed("arm=tpe"))])
    assert str(two).startswith("2 searches: 60 trials, 22 for baselines and confirming, ")
    assert two.calls == 30


def test_what_the_searches_of_a_suite_ask_is_counted() -> None:
    """Of 2 tasks at 3 seeds: a baseline, 4 candidates, and both confirmed; and the half held out
    at the fresh seeds."""
    usual = ("arm=discover", "task.suite=classics", "task.repeats=3", "task.trials=30")
    shorter = ("search.trials=4", "search.confirm_seeds=1")
    alone = plan(composed(*usual, *shorter, "task.inner=random", "task.llm=none"))
    asked = plan(composed(*usual, *shorter, "task.inner=level1"))
    assert asked.calls - alone.calls == 30 * 2 * 3 * (5 + 2 + 2)
    level1 = plan(composed("arm=level1", "task=trap")), plan(composed("arm=level1", "task=noisy"))
    each = [made.tokens_in + made.tokens_out for made in level1]
    spent = asked.tokens_in + asked.tokens_out - alone.tokens_in - alone.tokens_out
    assert spent == pytest.approx(3 * (7 * 2 * each[0] + 2 * 2 * each[1]), rel=0.05)
    centaur = plan(composed(*usual, *shorter, "task.inner=centaur"))
    assert centaur.calls - alone.calls == 10 * 2 * 3 * (5 + 2 + 2)


def test_a_suite_s_searches_cost_what_their_own_model_costs() -> None:
    usual = ("arm=discover", "task.suite=classics", "task.repeats=1", "search.trials=1")
    dear = plan(composed(*usual, "task.llm=deepseek", "llm=scripted"))
    assert dear.usd > 0 == plan(composed(*usual)).usd
