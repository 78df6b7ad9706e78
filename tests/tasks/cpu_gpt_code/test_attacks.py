"""Cheats by somebody who has read the evaluator, each done for real and judged from outside: by
its verdict, and by the steps that it really took where it counts."""

import re
from pathlib import Path

import pytest

from bilevel.sandbox.worker_handle import missing
from bilevel.tasks.cpu_gpt.corpus import Corpus
from bilevel.trace import FailureKind
from tests.nightly import but_nightly
from tests.tasks.cpu_gpt_code.attacks import ATTACKS, Attack
from tests.tasks.cpu_gpt_code.conftest import judged

pytestmark = [pytest.mark.usefixtures("walled"), pytest.mark.slow]
HONEST = 9  # steps that the budget has without a cheat
NIGHTLY = (  # each has a sibling in CI, but for the first
    "products in numpy",
    "a trilinear form in place of a product",
    "two products in one of complex numbers",
    "a product in place, at the price of bytes",
    "the fused kernel of attention",
    "a mode that answers for shapes",
    "a finaliser, run while the counter counts",
    "the book asked by the script itself",
    "what the frames below hold",
    "what functions by name enclose",
)


def steps(output: str) -> int:
    return int(re.findall(r"really (\d+)", output)[-1])


def test_the_script_that_is_attacked_with(tmp_path: Path, corpus: Corpus) -> None:
    found = judged(tmp_path, corpus, Attack("", None).script, budget_s=0.3)
    assert found.kind is None, found.reason
    assert steps(found.output) == found.metrics["steps"] == HONEST
    assert 0 < found.clock["training_cpu_s"] <= found.clock["cpu_s"]
    assert found.clock["cpu_s"] < found.clock["cpu_s_allowed"]
    assert found.clock["unedited_cpu_s_per_modelled_s"] > 0.1


@pytest.mark.parametrize("name", but_nightly(ATTACKS, NIGHTLY))
def test_a_cheat_gains_nothing(name: str, tmp_path: Path, corpus: Corpus) -> None:
    attack = ATTACKS[name]
    found = judged(tmp_path, corpus, attack.script, budget_s=attack.budget_s)
    if attack.told is None and found.kind is FailureKind.TIMEOUT:
        assert "more processor time" in found.reason  # dearer than its price, on some processors
    elif attack.told is None:
        assert found.kind is None, found.reason
        assert steps(found.output) <= HONEST
    else:
        assert found.value is None
        assert re.search(attack.told, found.reason), found.reason


def test_a_process_is_told_under_the_other_wall_too(tmp_path: Path, corpus: Corpus) -> None:
    if missing("bwrap"):
        pytest.skip(missing("bwrap"))
    found = judged(tmp_path, corpus, ATTACKS["a process"].script, layer="bwrap")
    assert found.value is None
    assert "os.fork" in found.reason
