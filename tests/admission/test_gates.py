"""A mechanism's whole way in: curated ones pass, verdicts are the same again, errors come out."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.admission import GATES, admit
from bilevel.admission.gates import _imported
from bilevel.admission.lint import Declared
from bilevel.admission.refusal import Refused
from bilevel.admission.shipped import loaded, names, read, written
from bilevel.errors import BadInput
from bilevel.invention import Admission
from bilevel.sandbox import worker_handle
from bilevel.sandbox.failures import SandboxUnavailable
from bilevel.sandbox.worker_handle import HERE, Limits
from bilevel.trace import Trace
from bilevel.view import View
from tests.admission.support import curated, mine

PROPOSE = "def propose(self, view): return []"


@pytest.fixture(scope="module")
def admitted(view: View, limits: Limits) -> "functools._lru_cache_wrapper[Admission]":
    return functools.cache(lambda name: admit(curated(name), view, limits))


@pytest.mark.parametrize(
    "name",
    [
        *("bandit", "crash_memory", "crossover", "diversification", "restart", "tabu"),
        pytest.param("gaussian_process", marks=pytest.mark.slow),
    ],
)
def test_the_curated_mechanisms_are_admitted(
    name: str, admitted: "functools._lru_cache_wrapper[Admission]"
) -> None:
    admission = admitted(name)
    assert admission.problem == ""
    assert admission.admitted
    assert admission.name == name
    assert tuple(verdict.gate for verdict in admission.verdicts) == GATES
    assert all(verdict.passed and verdict.reason for verdict in admission.verdicts)
    assert Admission.from_json(json.loads(json.dumps(admission.to_json()))) == admission


def test_the_same_source_and_view_have_the_same_verdicts(
    admitted: "functools._lru_cache_wrapper[Admission]", view: View, limits: Limits
) -> None:
    assert admit(curated("bandit"), view, limits) == admitted("bandit")


def test_another_seed_has_other_numbers(
    admitted: "functools._lru_cache_wrapper[Admission]", view: View, limits: Limits
) -> None:
    other = admit(curated("restart"), replace(view, seed=view.seed + 1), limits)
    assert other.admitted
    assert other.verdicts[-1] != admitted("restart").verdicts[-1]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("placebo", "so it would be dead"),
        ("reflection", "import of pathlib is not allowed"),
    ],
)
def test_these_are_refused_by_the_lint(name: str, problem: str, view: View) -> None:
    admission = admit(curated(name), view, Limits())
    assert admission.problem.startswith("lint: line ")
    assert problem in admission.problem
    assert [verdict.passed for verdict in admission.verdicts] == [True, False]


def test_a_counter_is_state_that_is_kept(view: View, limits: Limits) -> None:
    assert "Counter" in curated("design")
    assert admit(curated("design"), view, limits).problem == ""


def test_the_files_as_they_stand_are_refused_for_what_they_share(view: View) -> None:
    text = (Path(__file__).parents[2] / "mechanisms" / "tabu.py").read_text()
    assert (
        "import of bilevel.mechanisms.shared.trials is not allowed"
        in admit(text, view, Limits()).problem
    )


def test_a_search_before_its_first_trial_can_admit(view: View, limits: Limits) -> None:
    empty = replace(view, trace=Trace(), incumbent=None, parent=None)
    assert admit(curated("restart"), empty, limits).problem == ""


def test_the_first_gate_that_refuses_is_the_last_one(view: View) -> None:
    admission = admit("def f(:", view, Limits())
    assert not admission.admitted
    assert (admission.name, admission.hooks) == ("", ())
    assert admission.problem == "parse: line 1: invalid syntax: `def f(:`"
    taken = admit(mine(PROPOSE), view, Limits(), {"mine"})
    assert taken.problem.startswith("lint: ")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            mine(PROPOSE) + "\nx = [][3]\n",
            "reading the module or __init__ raised IndexError: list index out of range at line 10: "
            "`x = [][3]`",
        ),
        (
            mine(PROPOSE, "def __init__(self): self.x = self.nothing"),
            "AttributeError: 'Mine' object has no attribute 'nothing' at line 9",
        ),
        (
            "from numpy import no_such_thing\n" + mine(PROPOSE),
            "ImportError: cannot import name 'no_such_thing' from 'numpy'",
        ),
        (mine(PROPOSE) + "\nraise ValueError('two\\nlines')\n", "ValueError: two lines at line 10"),
        (mine(PROPOSE) + "\nraise SystemExit(3)\n", "raised SystemExit: 3 at line 10"),
        (
            mine(PROPOSE) + "\nMine.name = 'other'\n",
            "declares name, carrier and hooks ('mine', 'code', ('propose',)), but what it made has "
            "('other', 'code', ('propose',)); write them in the class body",
        ),
        (mine(PROPOSE) + "\nMine.name = ''\n", "made something else than its text says (Config"),
    ],
)
def test_what_cannot_be_made_is_refused(
    source: str, words: str, view: View, limits: Limits
) -> None:
    admission = admit(source, view, limits)
    assert admission.problem.startswith("import: ")
    assert words in admission.problem


@pytest.mark.parametrize("deep", ["view" + ".a" * 1_000, "f" + "()" * 2_500, "-" * 3_000 + "1"])
def test_a_text_that_is_nested_deeply_is_refused_wherever_it_is_read(
    deep: str, view: View, limits: Limits
) -> None:
    source = mine(f"def parent(self, view): return {deep}")
    admission = admit(source, view, limits)
    assert not admission.admitted
    assert "nested more than" in admission.verdicts[-1].reason


def test_what_cannot_be_made_once_more_is_refused_and_ends_no_search(
    view: View, limits: Limits
) -> None:
    once = "import math\nif hasattr(math, 'been'): raise ValueError('again')\nmath.been = 1\n"
    problem = admit(once + mine(PROPOSE), view, limits).problem
    assert problem.startswith("contract: reading the module or __init__ raised ValueError: again")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("any(iter(int, 1))", "gave no answer in time (TimeLimit: "),
        ("x = b'x' * (3 << 30)", "used too much memory (MemoryLimit: "),
        ("import os; os._exit(3)", "ended its worker process (WorkerDied: "),
    ],
)
def test_a_worker_that_fails_at_the_start_is_told_as_what_it_is(
    end: str, words: str, limits: Limits
) -> None:
    strict = Limits(limits.layer, start_s=2.0 if "TimeLimit" in words else 20.0)
    declared = Declared("mine", "code", ("propose",), "M")
    with pytest.raises(Refused) as refusal:
        _imported(f"{mine(PROPOSE)}\n{end}\n", declared, strict, HERE)
    assert words in str(refusal.value)


def test_a_machine_without_a_wall_is_no_fault_of_the_source(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_handle, "missing", lambda layer: f"{layer} is not here")
    with pytest.raises(SandboxUnavailable, match="sandlock is not here; bwrap is not here"):
        admit(mine(PROPOSE), view, Limits())


@pytest.mark.parametrize("name", names())
def test_the_shipped_traces_are_searches_and_come_back_as_written(name: str) -> None:
    view = loaded(name)
    assert len(view.trace) == 31
    assert view.incumbent is not None
    again = read(written(view, "again"))
    assert [*again.trace] == [*view.trace]
    assert (again.space, again.objective, again.seed) == (view.space, view.objective, view.seed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "Expecting value"),
        ("{}", "KeyError"),
        ('{"space": {"!": "Trial"}}', "ValueError"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=words):
        loaded(str(file))
