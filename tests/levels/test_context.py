"""What a mechanism's author is shown: true to the code, complete, enough to write one that runs."""

import ast
import doctest
import inspect
import re
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from bilevel import errors as errors_module
from bilevel import mechanism, parameters, space, toolkit, trace, view
from bilevel import randomness as randomness_module
from bilevel.admission import admit, situations
from bilevel.admission.asking import Double
from bilevel.admission.names import WORDS
from bilevel.admission.shipped import loaded
from bilevel.errors import ConfigError
from bilevel.levels.context import CONTEXTS, DESCRIBED, INTERFACE, SOURCE, platform
from bilevel.levels.inventor import Inventor
from bilevel.llm import prompts
from bilevel.loop import hook_answers as answers
from bilevel.loop import loop as loops
from bilevel.loop import pipeline as pipelines
from bilevel.loop.acceptance import Greedy
from bilevel.loop.activations import Effect
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.sandbox import replies
from bilevel.sandbox.confined_mechanism import MAX_RENDERS, confine
from bilevel.sandbox.worker_handle import Limits
from bilevel.tasks.surrogate import Surrogate
from tests.helpers import Listed
from tests.levels.interface import Said, declared, fences, missing, problems

FOLDER = Path(prompts.__file__).with_name("prompts") / "interface"
FILES = sorted(FOLDER.glob("*.md"))
EXAMPLES = {
    node.name: text
    for text in fences((FOLDER / "examples.md").read_text())
    for node in ast.parse(text).body
    if isinstance(node, ast.ClassDef)
}
MODULES = (mechanism, parameters, space, toolkit, trace, view)
BESIDE = (errors_module, randomness_module)  # of which little is of use
KINDS = ("Float", "Int", "PowerOfTwo", "Choice", "Tuple", "Subset", "Text")
ITS_OWN = "the platform's own, for journals, commands and configurations"
EMPTY = "holds nothing for a mechanism that a model wrote: it is not sent to where that runs"
LEFT_OUT: Mapping[str, str] = {
    "CARRIERS": "are listed in words",
    "HOOKS": "are the methods that are described",
    "Mechanism.close": "what the platform calls at the end; a mechanism holds nothing",
    "Mechanism.source": ITS_OWN,
    "View.asker": "is what view.ask is made with",
    "View.below": "is None where mechanisms hang",
    "View.innermost": "is the view itself where mechanisms hang",
    "View.recall": EMPTY,
    "View.mechanisms": EMPTY,
    "View.effective": EMPTY,
    "About.to_json": ITS_OWN,
    "Standing": "is what view.mechanisms gives",
    "Asker": "is what view.asker is",
    "Proposer": "is no mechanism",
    **dict.fromkeys(["nobody", "none_attached"], ITS_OWN),
    "NO_SETTINGS": ITS_OWN,
    "Proposal.mechanism": "is set in the loop above only",
    "Proposal.to_json": ITS_OWN,
    "Outcome.clock": "differs from one machine to the next: nothing may be decided by it",
    "Outcome.failed": "evaluations make outcomes",
    "Outcome.to_json": ITS_OWN,
    "Outcome.from_json": ITS_OWN,
    "Trace.plus": "the loop's way to grow it",
    **dict.fromkeys(["Trace.__len__", "Trace.__getitem__", "Trace.__iter__"], "a sequence's"),
    "space_from": ITS_OWN,
    "FEW": "is told in words",
}
"""Public names of the modules that a mechanism may import which the description does not have."""


def described() -> str:
    return "\n\n".join(file.read_text() for file in FILES if file.stem != "examples")


def of_every_kind() -> dict[str, str]:
    """What is described once, as a Parameter's."""
    every = [name.partition(".") for name in in_code() if name.startswith("Parameter.")]
    return {f"{kind}.{name}": "is every parameter's" for kind in KINDS for _, _, name in every}


def in_words() -> dict[str, Said]:
    return declared(fences(described()))


def in_code(**changed: str) -> dict[str, Said]:
    """Of every module, the source that is there, or another one by the module's name."""
    names = {module.__name__.rpartition(".")[2]: module for module in (*MODULES, *BESIDE)}
    return declared(changed.get(name) or inspect.getsource(m) for name, m in names.items())


def test_every_name_and_signature_that_is_described_is_in_the_code() -> None:
    assert len(in_words()) > 120
    assert problems(in_words(), in_code()) == []


@pytest.mark.parametrize(
    ("module", "old", "new", "told"),
    [
        (view, "def for_(self", "def meant_for(self", "View.for_ is not in the code"),
        (view, "    incumbent: Trial | None\n", "", "View.incumbent is not in the code"),
        (trace, "def gain(self, before", "def gain(self, old", "Objective.gain is described"),
        (trace, "seed: int\n    out", "seed: str\n    out", "Trial.seed is described"),
        (trace, 'CRASH = "crash"', 'CRASH = "boom"', "FailureKind.CRASH is described"),
        (trace, 'direction: str = "minimize"', "direction: str", "Objective.direction is desc"),
        (space, "frozen: Collection[str] = ()", "frozen: Any = ()", "SearchSpace.check is desc"),
        (space, "def canonical(", "def canonic(", "canonical is not in the code"),
        (parameters, "class PowerOfTwo(", "class Power(", "PowerOfTwo is not in the code"),
        (mechanism, "-> bool | None:", "-> bool:", "Mechanism.accept is described"),
        (
            trace,
            '    hypothesis: str = ""\n    origin: str = ""\n',
            '    origin: str = ""\n    hypothesis: str = ""\n',
            "Proposal has its fields in another order",
        ),
        (toolkit, "def snapped(", "def nearest(", "snapped is not in the code"),
        (toolkit, "way: str, size: float", "way: str, size: float = 0.1", "step is described"),
    ],
)
def test_a_change_of_the_code_is_noticed(module: Any, old: str, new: str, told: str) -> None:
    source = inspect.getsource(module)
    assert old in source
    name = module.__name__.rpartition(".")[2]
    found = problems(in_words(), in_code(**{name: source.replace(old, new)}))
    assert any(problem.startswith(told) for problem in found), found


def test_everything_that_a_mechanism_may_use_is_described_or_left_out_for_a_reason() -> None:
    assert "loop" not in WORDS  # it is told in words: nobody can import it
    own = declared(inspect.getsource(module) for module in MODULES)
    assert missing(in_words(), own, {**LEFT_OUT, **of_every_kind()}) == []
    more = "def other(self) -> int: ...\n    def for_(self"
    new = inspect.getsource(view).replace("def for_(self", more)
    assert missing(in_words(), declared([new]), LEFT_OUT) == ["View.other"]


def test_what_is_left_out_is_there_and_is_not_described() -> None:
    assert [name for name in LEFT_OUT if name not in in_code()] == []
    assert [name for name in (*LEFT_OUT, *of_every_kind()) if name in in_words()] == []
    assert [kind for kind in KINDS if kind not in in_words()] == []


@pytest.mark.parametrize("kind", [trace.Proposal, view.Brief])
def test_what_a_mechanism_makes_is_described_in_the_order_of_its_arguments(kind: Any) -> None:
    names = [name.partition(".")[2] for name in in_words() if name.startswith(kind.__name__ + ".")]
    taken = [field.name for field in fields(kind)]
    told = [name for name in names if name in taken]
    assert told == taken[: len(told)] != []


@pytest.mark.parametrize(
    "said",
    [
        f"A carrier is one of: {', '.join(mechanism.CARRIERS)}. ",
        f"at most {MAX_RENDERS} times in one call",
        f"at most {answers.MAX_CANDIDATES} candidates",
        f"{answers.MAX_TEXT_CHARS:,} characters in a hypothesis or reason",
        f"{answers.MAX_BRIEF_CHARS:,} characters more in a brief",
        f"at most {replies.MAX_PROMPT_CHARS:,} characters, its system text "
        f"{replies.MAX_SYSTEM_CHARS:,}",
        f"at most {replies.MAX_STATE_BYTES >> 10} KiB",
        f"listed where there are at most {parameters.FEW}",
        f"with {situations.SHORT} trials",
        f"with {situations.LONG} trials",
    ],
)
def test_numbers_and_lists_are_those_of_the_code(said: str) -> None:
    assert said in described()


def test_hooks_and_counts_that_are_told_in_words() -> None:
    assert (loops.ASKS, pipelines.FAILURES_ALLOWED, Limits().asks) == (3, 3, 2)
    text = (FOLDER / "hooks.md").read_text()
    assert [line[3:].partition("`")[0] for line in text.splitlines() if line.startswith("- `")] == [
        *mechanism.HOOKS
    ]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_passes_every_gate(kind: str) -> None:
    assert len(EXAMPLES) == 4
    admission = admit(EXAMPLES[kind], loaded("trap"), Limits("unsafe", call_s=5.0))
    assert admission.problem == ""


@pytest.mark.parametrize(
    ("kind", "effects"),
    [
        ("HalfStep", {("propose", Effect.DECISION), ("review", Effect.DECISION)}),
        ("SecondBest", {("parent", Effect.DECISION), ("review", Effect.DECISION)}),
        ("Lesson", {("brief", Effect.PROMPT)}),
        ("Between", {("propose", Effect.DECISION), ("review", Effect.DECISION)}),
    ],
)
def test_an_example_does_in_a_search_what_it_says(kind: str, effects: Any) -> None:
    made = confine(EXAMPLES[kind], limits=Limits("unsafe", call_s=5.0))
    pipeline = Pipeline([made])
    moves = [("WEIGHT_DECAY", value) for value in (0.19, 0.3, 0.18, 0.31)]
    moves += [("MATRIX_LR", value / 100) for value in range(1, 9)]
    steps: list[dict[str, object]] = [{name: value} for name, value in moves]
    loop = Loop(
        task=Surrogate("trap"),
        proposer=Listed(*steps),
        acceptance=Greedy(),
        trials=30,
        pipeline=pipeline,
        asker=Double(1).asker,
    )
    loop.run()
    pipeline.close()
    rows = pipeline.ledger.rows(made.name)
    assert pipeline.ledger.last_error(made.name) == ""
    assert effects <= {(row.hook, row.effect) for row in rows}
    assert len(loop.trace) == 31


def test_what_is_shown_of_the_helpers_comes_out() -> None:
    [session] = re.findall(
        r"^```pycon\n(.*?)^```", (FOLDER / "toolkit.md").read_text(), re.M | re.S
    )
    test = doctest.DocTestParser().get_doctest(session, vars(toolkit), "toolkit.md", None, 0)
    assert doctest.DocTestRunner().run(test) == (0, len(test.examples))


def test_the_helpers_are_shown_where_a_mechanism_is_written_and_mended() -> None:
    for name in ("generate", "mend"):
        assert "toolkit" in prompts.Prompt(FOLDER.parent / f"{name}.md").asks_for
    assert inspect.getsource(toolkit) in platform(SOURCE)["toolkit"]


def test_the_version_of_prompts_changes_with_a_description(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "prompts"
    shutil.copytree(FOLDER.parent, copy)
    found = []
    monkeypatch.setattr(prompts, "_FOLDER", copy)
    for text in ("", "And more.\n"):
        with (copy / "interface" / "view.md").open("a", encoding="utf-8") as file:
            file.write(text)
        prompts.version.cache_clear()
        found.append((prompts.version(), platform(INTERFACE)["view"]))
    prompts.version.cache_clear()
    (before, shown), (after, shown_after) = found
    assert before != after
    assert shown_after == f"{shown}\nAnd more." != shown


def test_a_docstring_changes_what_is_shown_as_source_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {context: platform(context) for context in CONTEXTS}
    read = inspect.getsource

    def reworded(thing: Any) -> str:
        return read(thing).replace('    """', '    """Differently said: ')

    monkeypatch.setattr(inspect, "getsource", reworded)
    assert platform(INTERFACE) == before[INTERFACE]
    now = platform(SOURCE)
    assert all(now[part] != before[SOURCE][part] for part in DESCRIBED)


def test_a_context_is_one_of_two() -> None:
    for context in CONTEXTS:
        assert {*platform(context)} == {*DESCRIBED}
        assert Inventor(limits=Limits("unsafe"), context=context)
    with pytest.raises(ConfigError, match=r"context='code': expected one of interface, source"):
        Inventor(limits=Limits("unsafe"), context="code")


def test_every_file_of_the_description_is_shown() -> None:
    shown = {name for names in DESCRIBED.values() for name in names}
    assert shown == {file.stem for file in FILES}
