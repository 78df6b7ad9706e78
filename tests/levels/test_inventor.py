"""Level 2: what each call reads, what an unusable reply costs, and that verdicts are kept."""

import inspect
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bilevel import mechanism, parameters, space, trace, view
from bilevel.errors import ConfigError
from bilevel.invention import Admission, GateVerdict
from bilevel.journal import Journal, projection, read
from bilevel.levels import writing
from bilevel.levels.attaching import Attaching
from bilevel.levels.diagnosing import suggested
from bilevel.levels.inventor import Inventor
from bilevel.levels.segment import Segment
from bilevel.llm.scripted.families import FAMILIES
from bilevel.loop import loop as loops
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.sandbox.worker_handle import Limits
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Trial
from bilevel.view import View
from tests.helpers import Listed
from tests.llm.support import Canned, contents, reply, session

UNSAFE = Limits("unsafe")
STEPS: list[dict[str, object]] = [{"WEIGHT_DECAY": 0.2 - n / 100} for n in range(1, 12)]
SOURCE = """
from bilevel.mechanism import Mechanism


class Noting(Mechanism):
    name = "{name}"

    def brief(self, view, brief):
        return brief.add("noted")
"""
EXPLORED = reply(
    bottleneck="It moves one parameter only.",
    ideas=[
        {"domain": "crystallography", "idea": "Anneal | slowly."},
        {"domain": "beekeeping", "idea": "Scout first."},
    ],
)
CRITICISED = reply(critique="Annealing takes too long.", chosen=1)
SPECIFICATION = {
    "name": "scouts",
    "domain": "beekeeping",
    "carrier": "prompt",
    "hooks": ["brief", "observe"],
    "behaviour": "It scouts\nbefore it dances.",
}


def specified(**fields: Any) -> str:
    return reply(**{**SPECIFICATION, **fields})


def written(name: str = "scouts") -> str:
    return reply(source=SOURCE.format(name=name))


SESSION = (EXPLORED, CRITICISED, specified(), written())


def refused(reason: str) -> Admission:
    return Admission(
        False, (GateVerdict("parse", True, "4 lines"), GateVerdict("lint", False, reason))
    )


def passed(name: str = "scouts") -> Admission:
    return Admission(True, (GateVerdict("dry run", True, "fine"),), name, "prompt", ("brief",))


class Gates:
    """In the place of the gates: gives its verdicts in order, the last one for ever."""

    def __init__(self, *verdicts: Admission) -> None:
        self.sources: list[str] = []
        self.taken: list[str] = []
        self._verdicts = verdicts

    def __call__(
        self, source: str, below: View, limits: Limits, taken: Collection[str] = ()
    ) -> Admission:
        assert below.level == 1
        self.sources.append(source)
        self.taken = [*taken]
        return self._verdicts[min(len(self.sources), len(self._verdicts)) - 1]


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Any:
    def these(*verdicts: Admission) -> Gates:
        made = Gates(*verdicts)
        monkeypatch.setattr(writing, "admit", made)
        return made

    return these


def searched(
    app: Canned, *, journal: Journal | None = None, trials: int = 8, **settings: Any
) -> tuple[Loop, Loop]:
    """Segments of four trials on trap, with level 2 after each; the model is the list of `app`."""
    kept = journal or Journal(None)
    shared: dict[str, Any] = {"journal": kept, "asker": session(app, kept).asker}
    task = Surrogate("trap")
    inner = Loop(task=task, proposer=Listed(*STEPS), acceptance=Always(), trials=trials, **shared)
    outer = Loop(
        task=Segment(inner, 4, Attaching(UNSAFE)),
        proposer=Inventor(limits=UNSAFE, **settings),
        acceptance=Always(),
        level=2,
        **shared,
    )
    outer.run()
    inner.pipeline.close()
    return inner, outer


def invented(outer: Loop, trial: int = 1) -> dict[str, Any]:
    proposed = outer.trace[trial].proposal.mechanism
    assert proposed is not None
    made: dict[str, Any] = json.loads(json.dumps(proposed.to_json()))
    return made


def prompts(app: Canned) -> list[str]:
    """What the user's message of each request says."""
    return [request["messages"][-1]["content"] for request in app.requests]


def headings(prompt: str) -> list[str]:
    return [line[3:] for line in prompt.splitlines() if line.startswith("## ")]


def test_four_calls_and_what_each_is_told(gates: Any) -> None:
    gates(passed())
    app = Canned(*SESSION)
    searched(app, context="source")
    explore, critique, specify, generate = prompts(app)
    for module in (loops, mechanism):
        assert inspect.getsource(module).rstrip() in explore
    for expected in (
        "# Find what holds the search back",
        "Experiments run: 4, left: 4.",
        "best val_bpb (lower is better)",
        "- trials: 4, kept: 4",
        "- repetition rate: 0.75",
        "- moves never tried: HEAD_DIM up, HEAD_DIM down, ",
    ):
        assert expected in explore
    for prompt in (critique, specify):
        assert inspect.getsource(mechanism).rstrip() in prompt
        assert inspect.getsource(loops).rstrip() not in prompt
        assert "It moves one parameter only." in prompt
    assert "0. crystallography: Anneal / slowly.\n1. beekeeping: Scout first." in critique
    assert "\nbeekeeping: Scout first.\n" in specify
    assert "Annealing takes too long." in specify
    assert "none of: none so far." in specify
    for module in (mechanism, view, trace, space, parameters):
        assert inspect.getsource(module).rstrip() in generate
    assert inspect.getsource(loops).rstrip() not in generate
    for line in ("name: scouts", "hooks: brief, observe", "behaviour: It scouts before it dances."):
        assert f"\n{line}\n" in generate
    assert "numpy, scipy, sklearn" in generate


def test_by_default_each_is_told_the_interface_and_no_source(gates: Any) -> None:
    gates(passed())
    app = Canned(*SESSION)
    searched(app)
    explore, critique, specify, generate = prompts(app)
    for prompt in (explore, critique, specify, generate):
        assert "class Mechanism:  # from bilevel.mechanism import Mechanism" in prompt
        assert headings(prompt).count("Hooks for mechanisms") == 1
        for module in (loops, mechanism, view, trace, space, parameters):
            assert not (prompt.count("    return ") and str(module.__doc__) in prompt)
            assert inspect.getsource(module).rstrip() not in prompt
    assert "## The loop\n\nA search is one loop over one experiment." in explore
    for prompt in (specify, generate):
        for told in ("class View:", "class Trial:", "class SearchSpace:"):
            assert told in prompt
    assert ["Whole mechanisms" in heading for heading in headings(generate)].count(True) == 1
    assert "Whole mechanisms" not in specify


def test_questions_are_the_same_under_other_docstrings(
    gates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the interface is described; where the source is shown, that is what is shown."""
    asked: dict[str, list[list[str]]] = {"interface": [], "source": []}
    read = inspect.getsource
    for text in ('"""', '"""Said otherwise: '):
        monkeypatch.setattr(inspect, "getsource", lambda m, t=text: read(m).replace('"""', t, 1))
        for context, found in asked.items():
            gates(refused("no"), passed())
            app = Canned(*SESSION)
            searched(app, context=context)
            assert len(app.requests) == 5
            found.append(contents(app.requests))
    assert asked["interface"][0] == asked["interface"][1]
    assert asked["source"][0] != asked["source"][1]


def test_questions_are_asked_under_keys_that_say_what_for(gates: Any, tmp_path: Path) -> None:
    gates(refused("no"), passed())
    with Journal(tmp_path / "j.jsonl") as journal:
        searched(Canned(*SESSION), journal=journal, temperature=0.25)
    entries = read(tmp_path / "j.jsonl")
    level2 = [e["key"] for e in entries if e["key"].startswith("L2/T1") and e["kind"] != "trial"]
    assert level2 == [
        "L2/T1/research/explore/0",
        "L2/T1/research/critique/0",
        "L2/T1/research/specify/0",
        "L2/T1/research/generate/0",
        "L2/T1/admission/0",
        "L2/T1/research/mend/0",
        "L2/T1/admission/1",
    ]


def test_what_came_of_a_session_is_on_the_proposal(gates: Any) -> None:
    gates(passed())
    app = Canned(*SESSION)
    _, outer = searched(app, temperature=0.25)
    assert {request["temperature"] for request in app.requests} == {0.25}
    proposal = outer.trace[1].proposal
    assert proposal.hypothesis == "scouts from beekeeping: It scouts before it dances."
    assert not proposal.changes
    made = invented(outer)
    assert made.pop("attempts") == [
        {"source": SOURCE.format(name="scouts"), "admission": passed().to_json()}
    ]
    assert made == {
        **SPECIFICATION,
        "hooks": ["brief"],  # what the source has, and not what was specified
        "admitted": True,
        "problem": "",
        "domain_in_prompt": False,
        "bottleneck": "It moves one parameter only.",
        "source": SOURCE.format(name="scouts"),
    }


def test_fields_are_suggested_only_where_they_are_configured(gates: Any) -> None:
    gates(passed())
    said = []
    for domains in ((), ("beekeeping", "game theory")):
        app = Canned(*SESSION)
        _, outer = searched(app, domains=domains)
        said.append("Fields to draw from" in prompts(app)[0])
        assert invented(outer)["domain_in_prompt"] == bool(domains)
    assert said == [False, True]
    assert "Fields to draw from, among others: beekeeping, game theory. Give" in prompts(app)[0]


@pytest.mark.parametrize(
    ("domain", "prompt", "found"),
    [
        ("optimal foraging", "ideas on optimal FORAGING", True),
        ("optimal foraging", "an optimal search", False),
        ("optimal foraging", "forage", False),
        ("ants", "ants", False),  # too short to tell anything
        ("", "anything", False),
    ],
)
def test_a_domain_was_suggested_if_all_its_long_words_were(
    domain: str, prompt: str, found: bool
) -> None:
    assert suggested(domain, prompt) is found


@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("bad", ["no", "{}"])
def test_an_unusable_reply_costs_the_mechanism_and_not_the_segment(
    call: int, bad: str, gates: Any
) -> None:
    refusing = gates(passed())
    app = Canned(*SESSION[:call], bad)
    inner, outer = searched(app)
    made, name = invented(outer), ("explore", "critique", "specify", "generate")[call]
    assert made["problem"].startswith(f"{name}: ")
    assert (made["admitted"], made["attempts"], made["source"]) == (False, [], "")
    assert made["bottleneck"] == ("" if call == 0 else "It moves one parameter only.")
    assert made["name"] == ("scouts" if call == 3 else "")
    assert len(app.requests) == call + 2  # one repair round
    assert refusing.sources == []
    assert inner.pipeline.known == ()
    assert len(inner.trace) == 9
    assert [str(trial.decision) for trial in outer.trace] == ["keep", "keep"]
    assert not outer.trace[1].outcome.failure


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reply(critique="?", chosen=2), '["chosen"] is 2'),
        (reply(critique="?", chosen=-1), '["chosen"] is -1'),
    ],
)
def test_an_idea_that_is_not_there_cannot_be_chosen(bad: str, reason: str, gates: Any) -> None:
    gates(passed())
    _, outer = searched(Canned(EXPLORED, bad))
    assert reason in invented(outer)["problem"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "Scouts"}, "3 to 40 of a-z, 0-9 and _"),
        ({"name": "a/b"}, "3 to 40 of a-z"),
        ({"hooks": ["observe"]}, "hooks ['observe'] decide nothing"),
    ],
)
def test_a_specification_that_cannot_be_written_is_asked_again(
    fields: dict[str, Any], reason: str, gates: Any
) -> None:
    gates(passed())
    app = Canned(EXPLORED, CRITICISED, specified(**fields), *SESSION[2:])
    _, outer = searched(app)
    assert reason in prompts(app)[3]
    assert invented(outer)["admitted"]


@pytest.mark.parametrize("first", [passed(), refused("never")])
def test_a_name_that_is_taken_is_asked_again(first: Admission, gates: Any) -> None:
    """By what is attached, and by what was tried and refused."""
    made = gates(first, passed("dancers"))
    again = (specified(name="dancers"), written("dancers"))
    app = Canned(*SESSION, *SESSION[:3], *again)
    _, outer = searched(app, trials=12, repairs=0)
    assert [invented(outer, n)["name"] for n in (1, 2)] == ["scouts", "dancers"]
    assert "none of: scouts." in prompts(app)[6]
    assert "name 'scouts' is taken; choose another one" in prompts(app)[7]
    assert made.taken == ["scouts"]


def test_the_next_session_reads_where_a_mechanism_failed_and_none_of_its_words(gates: Any) -> None:
    gates(passed(), passed("dancers"))
    raising = 'if view.trial == 6: raise ValueError(f"it is {id(view)}")\n        return brief.add('
    source = SOURCE.format(name="scouts").replace("return brief.add(", raising)
    again = (*SESSION[:2], specified(name="dancers"), written("dancers"))
    app = Canned(*SESSION[:3], reply(source=source), *again)
    inner, _ = searched(app, trials=12)
    assert "ValueError: it is " in inner.pipeline.ledger.last_error("scouts")
    line = 'at line 9: `if view.trial == 6: raise ValueError(f"it is {id(view)}")`'
    assert f"; at the last error it raised ValueError {line}\n" in prompts(app)[4]


def test_three_repairs_with_the_exact_reason_and_then_none(gates: Any) -> None:
    reasons = [f"line {n}: `import os{n}` is not allowed" for n in range(4)]
    made = gates(*map(refused, reasons))
    texts = [SOURCE.format(name=f"scouts{n}") for n in range(5)]
    app = Canned(*SESSION[:3], *(reply(source=text) for text in texts))
    inner, outer = searched(app)
    assert made.sources == texts[:4]
    mends = prompts(app)[4:]
    assert len(mends) == 3
    for number, mend in enumerate(mends):
        assert mend.startswith("# Mend the mechanism")
        assert f"## What was wrong\n\n```data\nlint: {reasons[number]}\n```\n" in mend
        assert f"## Rejected source\n\n```python\n{texts[number].rstrip()}\n```" in mend
        assert "name: scouts\n" in mend
    proposal = outer.trace[1].proposal
    assert proposal.hypothesis == f"scouts, 4 texts, not admitted: lint: {reasons[3]}"
    assert [a["source"] for a in invented(outer)["attempts"]] == texts[:4]
    assert inner.pipeline.known == ()
    assert len(inner.trace) == 9


def test_a_mended_one_is_attached(gates: Any) -> None:
    gates(refused("one"), refused("two"), passed())
    inner, outer = searched(Canned(*SESSION))
    assert [m.name for m in inner.pipeline.attached] == ["scouts"]
    assert [a["admission"]["admitted"] for a in invented(outer)["attempts"]] == [False, False, True]
    assert invented(outer)["problem"] == ""


def test_an_unusable_mend_ends_the_session_and_keeps_what_was_tried(gates: Any) -> None:
    gates(refused("one"))
    _, outer = searched(Canned(*SESSION, "no"))
    made = invented(outer)
    assert made["problem"].startswith("mend: ")
    assert len(made["attempts"]) == 1
    assert not made["admitted"]


def test_the_next_session_reads_what_became_of_the_ones_before(gates: Any) -> None:
    gates(refused("line 3: no"), passed("dancers"), refused("x"))
    dancers = (EXPLORED, CRITICISED, specified(name="dancers"), written("dancers"))
    third = (EXPLORED, CRITICISED, specified(name="queens"), written("queens"))
    app = Canned(*SESSION, *dancers, *third)
    inner, _ = searched(app, trials=16, repairs=0)
    explore = prompts(app)[8]
    assert "- scouts: scouts, 1 texts, not admitted: lint: line 3: no\n" in explore
    passed_at = "(text 1 passed every gate; keep)\n"
    assert f"- dancers: dancers from beekeeping: It scouts before it dances. {passed_at}" in explore
    caused = "it caused no trials; the proposer meanwhile: 4 trials"
    assert f"- dancers: prompted, since trial 9; {caused}" in explore
    assert "; calls: brief.prompt 4\n" in explore
    assert "segment gained" not in explore
    assert inner.view().mechanisms()[0].counts == {"brief.prompt": 8}


def admissible(name: str) -> str:
    family = FAMILIES[0]
    return reply(source=family.source(name, family.carriers[0], Random(1)))


def trials(outer: Loop) -> Sequence[Trial]:
    return [*outer.trace]


def test_verdicts_are_the_gates_own_once_and_the_journals_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real gates: a text that imports what it may not, and the same mended."""
    broken = "import os\n" + json.loads(admissible("scouts"))["source"]
    app = Canned(*SESSION[:3], reply(source=broken), admissible("scouts"))
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        inner, outer = searched(app, journal=journal)
    first, second = invented(outer)["attempts"]
    assert first["admission"]["verdicts"][-1]["gate"] == "lint"
    assert "os" in first["admission"]["verdicts"][-1]["reason"]
    assert f"lint: {first['admission']['verdicts'][-1]['reason']}" in prompts(app)[4]
    gate_names = [verdict["gate"] for verdict in second["admission"]["verdicts"]]
    assert gate_names == ["parse", "lint", "import", "contract", "dry run"]
    assert [m.name for m in inner.pipeline.attached] == ["scouts"]
    assert inner.pipeline.ledger.rows("scouts")

    def never(*_: object) -> Admission:
        pytest.fail("a verdict was computed again")

    monkeypatch.setattr(writing, "admit", never)
    whole = path.read_bytes()
    silent = Canned("nobody is asked")
    with Journal(path) as journal:
        _, again = searched(silent, journal=journal)
    assert path.read_bytes() == whole
    assert trials(again) == trials(outer)
    assert not silent.requests


def test_a_verdict_that_was_not_written_yet_is_computed(gates: Any, tmp_path: Path) -> None:
    gates(passed())
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    with Journal(whole) as journal:
        searched(Canned(*SESSION), journal=journal)
    lines = whole.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if json.loads(line)["kind"] == "recall")
    cut.write_text("".join(lines[:at]))
    made = gates(passed())
    with Journal(cut) as journal:
        searched(Canned("nobody is asked"), journal=journal)
    assert len(made.sources) == 1
    assert projection(read(cut)) == projection(read(whole))


def test_everything_that_is_sent_is_text_that_names_no_place_of_this_machine(gates: Any) -> None:
    gates(passed())
    app = Canned(*SESSION)
    searched(app)
    for text in contents(app.requests):
        assert str(Path(__file__).parents[2]) not in text


FREE = reply(
    name="scouts", idea="It scouts\nbefore it dances.", source=SOURCE.format(name="scouts")
)


def test_asked_freely_it_is_one_call_that_tells_the_protocol(gates: Any) -> None:
    gates(passed())
    app = Canned(FREE)
    inner, outer = searched(app, session="free", protocol="A round decides one of them.")
    [asked] = prompts(app)
    for expected in (
        "# Write the best general mechanism that you can",
        "Trials run: 4, left: 4. A round decides one of them.",
        "What decides is the best value that the search has kept when no trial is left.",
        "| 4 | 3 | WEIGHT_DECAY 0.17 -> 0.16 |",
        "- failed trials: 0",
        "numpy, scipy, sklearn",
        "class View:",
        "none of: none so far",
    ):
        assert expected in asked
    system = app.requests[0]["messages"][0]["content"]
    assert "judged by what the search that they act in has found" in system
    assert [m.name for m in inner.pipeline.attached] == ["scouts"]
    made = invented(outer)
    assert (made["name"], made["behaviour"]) == ("scouts", "It scouts before it dances.")
    assert outer.trace[1].proposal.hypothesis == "scouts: It scouts before it dances."


def test_asked_freely_the_next_session_reads_what_became_and_a_text_is_mended(
    gates: Any, tmp_path: Path
) -> None:
    gates(passed(), refused("line 3: no"), passed("dancers"))
    taken, other = FREE, json.loads(FREE)
    dancers = reply(**{**other, "name": "dancers", "source": SOURCE.format(name="dancers")})
    app = Canned(FREE, taken, dancers, written("dancers"))
    with Journal(tmp_path / "j.jsonl") as journal:
        inner, outer = searched(app, journal=journal, session="free", trials=12)
    _, second, again, mend = prompts(app)
    assert "- scouts: prompted, since trial 5; it caused no trials" in second
    assert (
        "- scouts: scouts: It scouts before it dances. (text 1 passed every gate; keep)" in second
    )
    assert "name 'scouts' is taken; choose another one" in again
    assert "name: dancers\nidea: It scouts before it dances." in mend
    assert "lint: line 3: no" in mend
    assert [m.name for m in inner.pipeline.attached] == ["scouts", "dancers"]
    keys = [e["key"] for e in read(tmp_path / "j.jsonl") if e["key"].startswith("L2/T2/r")]
    assert keys == [f"L2/T2/research/{k}" for k in ("free/0", "free/0/repair", "mend/0")]
    assert invented(outer, 2)["admitted"]


def test_asked_freely_an_unusable_reply_costs_the_mechanism_only(gates: Any) -> None:
    gates(passed())
    inner, outer = searched(Canned("no"), session="free")
    assert invented(outer)["problem"].startswith("free: ")
    assert len(inner.trace) == 9


def test_there_is_no_other_way_to_ask() -> None:
    with pytest.raises(ConfigError, match="session='x': expected one of diagnose, free"):
        Inventor(limits=UNSAFE, session="x")
