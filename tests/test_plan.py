import pytest

from bilevel.plan import plan, together
from tests.test_conf import composed


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
        *(("karpathy", 33), ("iid_llm", 30), ("level1_tokens", 30)),
    ],
)
def test_calls_are_those_of_every_level(arm: str, calls: int) -> None:
    assert plan(composed(f"arm={arm}")).calls == calls


def test_more_tokens_are_counted_where_an_arm_spends_more() -> None:
    spent = {
        arm: plan(composed(f"arm={arm}", "llm.price_per_mtok_in=1", "llm.price_per_mtok_out=2"))
        for arm in ("level1", "bilevel", "sham")
    }
    assert spent["level1"].tokens_in == 30 * 4750
    assert spent["level1"].usd == pytest.approx(30 * (4750 + 2 * 80) / 1e6)
    assert spent["bilevel"].usd > spent["level1"].usd
    assert spent["bilevel"].tokens_in == spent["sham"].tokens_in


def test_a_sweep_is_the_sum_of_its_searches() -> None:
    two = together([plan(composed("arm=level1")), plan(composed("arm=tpe"))])
    assert str(two).startswith("2 searches: 60 trials, 22 for baselines and confirming, ")
    assert two.calls == 30
