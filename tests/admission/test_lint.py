"""The lint gate: every finding has its line, what was found, and what is allowed."""

import sys

import pytest

from bilevel.admission.lint import linted
from bilevel.admission.reading import parsed
from bilevel.admission.refusal import Refused
from bilevel.mechanism import CARRIERS, HOOKS
from tests.admission.support import HEAD, curated, mine

PROPOSE = "def propose(self, view): return []"
LINE = HEAD.count("\n") + 1  # of the first line in the body


def refused(source: str, *taken: str) -> str:
    with pytest.raises(Refused) as refusal:
        linted(parsed(source), taken)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (["def observe(self, view, trial): pass"], "(its hooks: observe), so it would be dead"),
        (["x = 1"], "define at least one of parent, brief, propose, review, accept"),
        (["def review(self, view): return ()"], "`def review(self, view, candidates)`"),
        (["def propose(self, view, *, n): return ()"], "`def propose(self, view)`"),
        (["async def propose(self, view): return ()"], "propose is async; a hook is a plain `def`"),
        (["@staticmethod", "def propose(view): return ()"], "propose has a decorator"),
        (["propose = lambda self, view: ()"], "propose is assigned; write it as `def propose"),
        (
            [PROPOSE, "def __init__(self): self.review = None"],
            "self.review is assigned: the hooks, the name and the carrier are the class's",
        ),
        ([PROPOSE, "def __init__(self): self.name = 'x'"], "self.name is assigned"),
        ([PROPOSE, "def __init__(self, every): pass"], "__init__ has arguments without defaults"),
        ([PROPOSE, 'carrier = "idea"'], f"valid: {', '.join(CARRIERS)}"),
        ([PROPOSE, 'name = "two words"'], "at most 80 letters, digits"),
        ([PROPOSE, 'name = "a" + "b"'], "written as a literal"),
    ],
)
def test_the_class_is_what_a_loop_can_use(body: list[str], words: str) -> None:
    assert words in refused(mine(*body))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import os", "import of os is not allowed; allowed: __future__"),
        ("import time", "import of time is not allowed"),
        ("from pathlib import Path", "import of pathlib is not allowed"),
        ("import importlib.util", "import of importlib.util is not allowed"),
        ("import torch", "import of torch is not allowed"),
        ("from bilevel.loop.loop import Loop", "import of bilevel.loop.loop is not allowed"),
        ("from bilevel import sandbox", "import of bilevel.sandbox is not allowed"),
        ("from . import friend", "import of . is not allowed"),
        ("x = open('/etc/passwd')", "open is not allowed; a mechanism computes from its view"),
        ("eval('1')", "eval is not allowed"),
        ("x = __import__('os')", "__import__ is not allowed"),
        ("x = ().__class__.__subclasses__()", ".__subclasses__ is not allowed"),
        ("import random; x = random.random()", "random.random draws from no seed of the search"),
        ("import random as r; x = r.choice([1])", "random.choice draws from no seed"),
        ("from random import choice", "random.choice draws from no seed"),
        ("import random; x = random.Random()", "random.Random() without a seed; use view.rng"),
        ("import numpy as np; x = np.random.rand(3)", "numpy.random.rand draws from no seed"),
        ("from numpy.random import default_rng; x = default_rng()", "default_rng() without a seed"),
    ],
)
def test_what_may_not_be_named_is_named_with_its_line(line: str, words: str) -> None:
    assert f"line {LINE + 1}: " in refused(mine(PROPOSE, line))
    assert words in refused(mine(PROPOSE, line))


@pytest.mark.parametrize(
    "line",
    [
        "import random; x = random.Random(3)",
        "import numpy as np; x = np.random.default_rng(3).normal()",
        "from bilevel import randomness, space",
        "from collections import deque",
        "import scipy.stats, sklearn.ensemble",
        "import re; x = re.compile('a')",
        "def draw(self, view): return view.rng.random(), type(self).__name__",
        "def draw(self, random): return random.choice([1])",
        "def accept(self, *given): return None",
        "def brief(self, view, brief, more=1): return brief",
    ],
)
def test_what_is_allowed_passes(line: str) -> None:
    assert linted(parsed(mine(PROPOSE, line))).name == "mine"


def test_every_finding_is_told_at_once_in_the_order_of_lines() -> None:
    told = refused(mine("import os", 'carrier = "idea"', "x = eval('1')", "def accept(self): 0"))
    places = [told.index(f"line {LINE + n}: ") for n in range(4)]
    assert places == sorted(places)
    many = refused(mine(PROPOSE, *(f"x{n} = eval('1')" for n in range(11))))
    assert many.endswith("and 3 more")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\n", "subclasses of Mechanism: none; expected exactly one, as in `from bilevel"),
        (f"{mine(PROPOSE)}\nclass Other(Mine): pass\n", "Mine (line 5), Other (line 10)"),
        (
            "from bilevel.mechanism import Mechanism as M\nclass A(M): pass\nclass B(M): pass\n",
            "A (line 2), B (line 3)",
        ),
    ],
)
def test_there_is_exactly_one_class(source: str, words: str) -> None:
    assert words in refused(source)


def test_a_name_that_is_taken_is_refused_with_those_that_are() -> None:
    assert "name='mine' is taken; taken: mine, tabu" in refused(mine(PROPOSE), "tabu", "mine")


def test_what_the_text_declares_is_read() -> None:
    body = ('carrier = "memory schema"', PROPOSE, "def observe(self, view, trial): pass")
    declared = linted(parsed(mine(*body)))
    assert (declared.name, declared.carrier, declared.kind) == ("mine", "memory schema", "Mine")
    assert declared.hooks == ("propose", "observe")
    typed = mine(PROPOSE).replace('name = "mine"', 'name: "ClassVar[str]" = "typed"')
    assert linted(parsed(typed)).name == "typed"
    assert linted(parsed(mine(PROPOSE))).carrier == "code"


def test_a_hook_may_be_named_in_every_way_the_loop_can_call() -> None:
    for hook in HOOKS:
        if hook != "observe":
            assert linted(parsed(mine(f"def {hook}(self, *given): return None"))).hooks == (hook,)


def test_the_placebo_is_refused_as_dead() -> None:
    assert "so it would be dead" in refused(curated("placebo"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("getattr(view, 'se' + 'ed')", "getattr by a computed name is not allowed"),
        ("setattr(view, str(view.seed), 1)", "setattr by a computed name is not allowed"),
        ("getattr(json, 'codecs')", "`json.codecs` is the module codecs, which is not allowed"),
        ("getattr(json.codecs, 'open')", "`json.codecs` is the module codecs"),
        ("json.codecs.open('/etc/passwd')", "`json.codecs` is the module codecs"),
        ("random._os.system('true')", "`random._os` is the module os"),
        ("operator.attrgetter('__class__.__mro__')(view)", "attrgetter of '__class__.__mro__'"),
        ("operator.methodcaller(view.purpose)(view)", "methodcaller by a computed name"),
        ("vars(view)", "vars is not allowed"),
        ("getattr(view, '__dict__')", "getattr of '__dict__' is not allowed"),
    ],
)
def test_no_attribute_is_reached_by_a_computed_name(line: str, words: str) -> None:
    head = f"import json, operator, random\n{HEAD}"
    assert words in refused(mine(f"def propose(self, view): {line}", head=head))


@pytest.mark.parametrize(
    "line", ["self.time = view.trace", "getattr(view, 'seed', 1)", "json.decoder", "self.os = 1"]
)
def test_what_only_looks_like_a_module_is_none(line: str) -> None:
    lines = ("def propose(self, view):", f"    {line}", "    return []")
    assert linted(parsed(mine(*lines, head=f"import json\n{HEAD}"))).name == "mine"


def test_no_module_that_a_text_names_is_run_to_look_at_it() -> None:
    """`numpy.f2py.__main__` takes the arguments of its process for its own when it is imported."""
    source = mine(PROPOSE, head=f"import numpy.f2py.__main__\n{HEAD}")
    assert linted(parsed(source)).name == "mine"
    assert "numpy.f2py.__main__" not in sys.modules


@pytest.mark.parametrize("name", ["llm", "resampled", "baseline", "proposer"])
def test_no_mechanism_is_called_like_the_platforms_own(name: str) -> None:
    assert "is the platform's; choose another" in refused(mine(PROPOSE, f'name = "{name}"'))
