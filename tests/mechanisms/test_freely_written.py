"""What a language model wrote freely: admitted as it stands, and it takes every trial."""

from pathlib import Path

import pytest
import yaml
from hydra.utils import instantiate

from bilevel.admission import admit
from bilevel.admission.shipped import loaded
from bilevel.loop.activations import Liveness
from bilevel.mechanism import Mechanism
from bilevel.sandbox.worker_handle import Limits
from bilevel.tasks.surrogate import Surrogate
from tests.mechanisms.support import EVERY_KIND, FREELY_WRITTEN, own, search, trial, view, weighed

ROOT = Path(__file__).parents[2]
BOWL = [
    trial(EVERY_KIND, 0, {}, 1.0, kept=True),
    *(
        trial(EVERY_KIND, n + 1, {"SHARE": n / 20}, 1.0 + (n / 20 - 0.2) ** 2 * 10 - 0.4)
        for n in range(1, 10)
    ),
]


def made(name: str) -> Mechanism:
    spec = yaml.safe_load((ROOT / "conf" / "mechanisms" / f"{name}.yaml").read_text())
    mechanism: Mechanism = instantiate(spec[name])
    return mechanism


@pytest.mark.parametrize("name", weighed(FREELY_WRITTEN))
def test_it_is_admitted_as_it_stands(name: str) -> None:
    text = (ROOT / "mechanisms" / f"{name}.py").read_text()
    admission = admit(text, loaded("trap"), Limits("unsafe", call_s=10.0))
    assert (admission.problem, admission.name) == ("", name)


@pytest.mark.parametrize("name", weighed(FREELY_WRITTEN))
def test_it_takes_every_trial_and_gains(name: str) -> None:
    ran = search(made(name), task="trap", trials=16)
    assert len(own(ran, name)) == 16
    assert ran.pipeline.liveness(name, trial=17) is Liveness.LIVE
    task = Surrogate("trap")
    assert ran.best is not None
    assert task.exact(ran.best.config) < task.exact(task.space.baseline)


@pytest.mark.parametrize("name", weighed(FREELY_WRITTEN))
def test_the_direction_of_the_metric_is_all_the_same(name: str) -> None:
    turned = [
        trial(EVERY_KIND, t.number, t.proposal.changes, -(t.value or 0.0), kept=t.kept)
        for t in BOWL
    ]
    [one] = made(name).propose(view(BOWL))
    [other] = made(name).propose(view(turned, direction="maximize"))
    assert one.changes == other.changes
