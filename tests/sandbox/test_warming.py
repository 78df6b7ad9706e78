"""Libraries are there before the clock of a call runs, and change nothing else."""

import random
import sys
from collections.abc import Iterator

import pytest

from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import MechanismRaised
from bilevel.sandbox.warming import warm
from bilevel.sandbox.worker_handle import Limits, Surroundings
from tests.helpers import loop

CODE = """
import random, sys
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal
{top}
BEFORE = sorted(name for name in sys.modules if name.partition(".")[0] in ("numpy", "scipy", "xml"))

class Mine(Mechanism):
    name = "mine"
    def propose(self, view):
        loaded = sorted(sys.modules)
        {body}
        return [Proposal({{"loaded": loaded, "new": sorted({{*sys.modules}} - {{*loaded}}),
                          "drawn": random.random(), "before": BEFORE}})]
"""


def mine(layer: str, body: str, top: str = "", chance: str = "") -> ConfinedMechanism:
    text = CODE.format(body=body, top=top)
    return confine(text, limits=Limits(layer, call_s=20), surroundings=Surroundings(chance))


def answer(confined: ConfinedMechanism, key: str) -> object:
    with confined:
        return confined.propose(loop({}).view())[0].changes[key]


@pytest.mark.parametrize(
    "body",
    [
        "import scipy.stats",
        "from scipy import stats",
        "from scipy import stats as s; s.norm",
        "import scipy; scipy.stats.norm",
        "import scipy as s; s.stats.norm.cdf(0.0)",
        "from scipy.stats import norm",
        "\n        def deeper():\n            from scipy.stats import qmc\n        deeper()",
    ],
)
def test_an_import_in_a_hook_is_done_before(layer: str, body: str) -> None:
    with mine(layer, body) as confined:
        made = confined.propose(loop({}).view())[0].changes
    assert made["before"] == ()
    assert "scipy.stats" in made["loaded"]  # type: ignore[operator]
    assert made["new"] == ()


@pytest.mark.parametrize("statement", ["import nothing_here", "from scipy import nothing_here"])
def test_what_cannot_be_imported_is_told_when_its_statement_runs(
    layer: str, statement: str
) -> None:
    with (
        mine(layer, statement) as confined,
        pytest.raises(MechanismRaised, match=r"nothing_here.*\(line 12\)"),
    ):
        confined.propose(loop({}).view())
    guarded = f"\n        try: {statement}\n        except ImportError: pass"
    assert answer(mine(layer, guarded), "new") == ()


def test_a_part_that_nobody_imports_is_not_there_by_accident() -> None:
    statement = "import xml; xml.dom"
    with (
        mine("confined", statement) as confined,
        pytest.raises(MechanismRaised, match="no attribute 'dom'"),
    ):
        confined.propose(loop({}).view())


def test_generators_that_belong_to_nobody_start_as_they_do_without() -> None:
    plain = answer(mine("confined", "pass", chance="7"), "drawn")
    assert answer(mine("confined", "import numpy, scipy.stats", chance="7"), "drawn") == plain
    assert answer(mine("confined", "pass", chance="8"), "drawn") != plain
    drawing = "import numpy; random.seed(int(numpy.random.randint(10**9)))"
    seven, again, eight = (answer(mine("confined", drawing, chance=c), "drawn") for c in "778")
    assert seven == again != eight


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    state, modules = random.getstate(), dict(sys.modules)
    yield
    random.setstate(state)
    sys.modules.clear()
    sys.modules.update(modules)


@pytest.mark.usefixtures("_as_it_was")
def test_whatever_a_text_names_nothing_of_it_is_raised() -> None:
    warm("from . import x\nfrom os import *\nimport os.path.nothing", "")
    warm("import this_is_not, sys as s\nthis_is_not.a.b; s.a.b; (1).real; s.modules.get", "")
    warm("import os\n" + "os" + ".path" * 3000, "")
