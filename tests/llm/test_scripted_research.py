"""The stand-in as an inventor: five questions, real sources, and mistakes that can be told."""

import ast
import functools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bilevel.baselines.random_search import RandomSearch
from bilevel.errors import BadInput
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.reply import checked
from bilevel.llm.scripted import respond, scripted_client
from bilevel.llm.scripted.breakages import BREAKAGES, CHANCE
from bilevel.llm.scripted.families import FAMILIES, Family
from bilevel.llm.scripted.research import MENDS, MOST_IDEAS
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.activations import Effect
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.parameters import Choice, Float, Int, PowerOfTwo, Subset, Text, Tuple
from bilevel.proposers.llm import LLMProposer
from bilevel.randomness import keyed
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.trusted_mechanism import load
from bilevel.sandbox.wire import pack
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trace, Trial
from bilevel.view import Brief, View

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
CARRIERS = (
    *("code", "prompt", "skill", "workflow"),
    *("evaluator", "principle", "world model", "memory schema"),
)
CONFINED = next((layer for layer in CONFINING if not missing(layer)), None)


def object_of(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


IDEA = object_of(domain=TEXT, idea=TEXT)
EXPLORE = object_of(
    bottleneck=TEXT, ideas={"type": "array", "items": IDEA, "minItems": 2, "maxItems": 5}
)
CRITIQUE = object_of(critique=TEXT, chosen={"type": "integer", "minimum": 0})
SPECIFY = object_of(
    name=TEXT,
    domain=TEXT,
    carrier={"type": "string", "enum": [*CARRIERS]},
    hooks={"type": "array", "items": {"type": "string", "enum": [*HOOKS]}, "minItems": 1},
    behaviour=TEXT,
)
SOURCE = object_of(source=TEXT)


def prompt(schema: dict[str, Any], **sections: str) -> str:
    """A prompt in the inventor's format: headings, then the schema in a fence."""
    parts = ["# Question", "", "Some words."]
    for heading, text in sections.items():
        parts += [f"## {heading.replace('_', ' ')}", text]
    parts += ["## Reply format", f"```json\n{json.dumps(schema)}\n```"]
    return "\n\n".join(parts)


def ask(schema: dict[str, Any], seed: int, **sections: str) -> dict[str, Any]:
    """The checked value; a slip of the reply's form is repaired as a session would."""
    messages = [{"role": "user", "content": prompt(schema, **sections)}]
    for _ in range(2):
        request = {"messages": messages, "seed": seed, "temperature": 0.7}
        text = respond(request)["choices"][0]["message"]["content"]
        value, problem = checked(text, schema)
        if not problem:
            made: dict[str, Any] = value
            return made
        said = [{"role": "assistant", "content": text}, {"role": "user", "content": problem}]
        messages = [*messages, *said]
    raise AssertionError(problem)


BEHAVIOUR = """- repetition rate: 0.62
- longest discard streak: 14
- failed trials: 3
- moves never tried: TOTAL_BATCH_SIZE down, HEAD_DIM up"""
BULLETS = {
    "Attached_now": "- patch_leaving: leaves patches; live",
    "Tried_before": "- metropolis: rejected, dead code\n- untried_moves: it did not help",
}


def specification(family: Family, carrier: str = "code") -> str:
    fields = {
        "name": "my_idea",
        "domain": family.domain,
        "carrier": carrier,
        "hooks": ", ".join(family.hooks),
        "behaviour": family.behaviour,
    }
    return "\n".join(f"{key}: {value}" for key, value in fields.items())


def written(family: Family, seed: int) -> str:
    source: str = ask(SOURCE, seed, Specification=specification(family))["source"]
    return source


def sound(family: Family, seed: int = 0) -> str:
    return family.source("my_idea", "code", keyed(seed, family.domain))


def test_a_whole_session_satisfies_its_schemas_and_leads_to_every_family() -> None:
    chosen: Counter[str] = Counter()
    names, carriers = set(), set()
    for seed in range(60):
        ideas = ask(EXPLORE, seed, Behaviour_of_the_search=BEHAVIOUR, **BULLETS)["ideas"]
        assert 2 <= len({idea["domain"] for idea in ideas}) == len(ideas) <= MOST_IDEAS
        listed = "\n".join(f"{n}. {i['domain']}: {i['idea']}" for n, i in enumerate(ideas))
        index = ask(CRITIQUE, seed, Ideas=listed)["chosen"]
        idea = "{domain}: {idea}".format(**ideas[index])
        made = ask(SPECIFY, seed, Chosen_idea=idea, **BULLETS)
        assert made["domain"] == ideas[index]["domain"]
        chosen[made["domain"]] += 1
        names.add(made["name"])
        carriers.add(made["carrier"])
    assert set(chosen) == {family.domain for family in FAMILIES}
    assert not names & {"patch_leaving", "metropolis", "untried_moves"}
    assert all(3 <= len(name) <= 41 and name.islower() for name in names)
    assert len(names) > len(FAMILIES)
    assert len(carriers) > 4


@pytest.mark.parametrize(
    ("schema", "sections"),
    [
        (EXPLORE, {"Behaviour_of_the_search": BEHAVIOUR, **BULLETS}),
        (CRITIQUE, {"Ideas": "0. ethology: flee\n1. clonal selection: breed\n2. foraging: go"}),
        (SPECIFY, {"Chosen_idea": "clonal selection: breed", **BULLETS}),
        (SOURCE, {"Specification": specification(FAMILIES[0])}),
        (SOURCE, {"Rejected_source": "```python\nclass Clones(Mechanism):\n```"}),
    ],
)
def test_the_same_seed_gives_the_same_reply(
    schema: dict[str, Any], sections: dict[str, str]
) -> None:
    replies = [ask(schema, seed, **sections) for seed in range(8)]
    assert replies == [ask(schema, seed, **sections) for seed in range(8)]
    assert len({json.dumps(reply) for reply in replies}) > 1


def test_a_name_is_numbered_once_all_are_taken() -> None:
    (family, *_) = FAMILIES
    taken = "\n".join(f"- {name}: it did not help" for name in (*family.names, "patch_leaving_2"))
    idea = f"{family.domain}: {family.ideas[0]}"
    asked = {"Chosen_idea": idea, "Attached_now": "(none)", "Tried_before": taken}
    names = {ask(SPECIFY, seed, **asked)["name"] for seed in range(12)}
    assert names <= {"patch_leaving_3", "giving_up_rule_2", "exhausted_patches_2"}


@pytest.mark.parametrize(
    ("behaviour", "symptom", "word"),
    [
        ("- repetition rate: 0.62\n- crashes: 0", "repetition", "repeats"),
        ("- longest discard streak: 14", "streak", "stuck"),
        ("- failed trials: 6 of 30", "failures", "fail"),
        ("- failure rate: 0.3", "failures", "fail"),
        ("- moves never tried: HEAD_DIM up", "untried", "never tried"),
    ],
)
def test_ideas_react_to_the_behaviour(behaviour: str, symptom: str, word: str) -> None:
    helping = {family.domain for family in FAMILIES if symptom in family.helps_with}
    calm = "- repetition rate: 0.1\n- longest discard streak: 2\n- moves never tried: none"

    def named(text: str) -> int:
        replies = [ask(EXPLORE, seed, Behaviour_of_the_search=text) for seed in range(40)]
        assert (word in replies[0]["bottleneck"]) == (text != calm)
        return sum(reply["ideas"][0]["domain"] in helping for reply in replies)

    assert named(behaviour) > named(calm) + 4


def test_what_was_tried_comes_to_mind_less() -> None:
    def named(tried: str) -> int:
        asked = {"Behaviour_of_the_search": "- repetition rate: 0.1", "Tried_before": tried}
        replies = [ask(EXPLORE, seed, **asked) for seed in range(40)]
        return sum(any(i["domain"] == "clonal selection" for i in r["ideas"]) for r in replies)

    assert named("- memory_cells: dead") < named("(none)") - 4


def test_some_first_sources_are_broken_and_all_ways_occur() -> None:
    families = [FAMILIES[(seed + n) % len(FAMILIES)] for seed in range(60) for n in range(3)]
    sources = [written(family, seed // 3) for seed, family in enumerate(families)]
    counted = Counter(map(ailment, sources))
    assert len(set(sources)) > 100
    assert set(counted) == {"", *BREAKAGES}
    assert abs(1 - counted[""] / counted.total() - CHANCE) < 0.08


@pytest.mark.parametrize("name", BREAKAGES)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.template)
def test_a_breakage_breaks_what_it_says_in_every_family(family: Family, name: str) -> None:
    assert ailment(sound(family)) == ""
    for seed in range(3):
        assert ailment(BREAKAGES[name](sound(family), keyed(seed, name))) == name


@pytest.mark.parametrize("with_specification", [True, False])
@pytest.mark.parametrize("name", BREAKAGES)
def test_a_repair_is_mostly_sound(name: str, with_specification: bool) -> None:
    mended = 0
    for seed in range(14):
        family = FAMILIES[seed % len(FAMILIES)]
        rejected = BREAKAGES[name](sound(family), keyed(seed, name))
        sections = {"Specification": specification(family)} if with_specification else {}
        source = ask(
            SOURCE,
            seed,
            **sections,
            Rejected_source=f"```python\n{rejected}\n```",
            What_was_wrong=f"contract: {name}",
        )["source"]
        assert f"class {family.kind}(" in source
        assert 'name: ClassVar[str] = "my_idea"' in source
        mended += ailment(source) == ""
        assert ailment(source) in {"", name}
    assert mended >= 8


def test_the_same_mistake_is_made_again_at_times() -> None:
    rejected = BREAKAGES["no_hook"](sound(FAMILIES[0]), keyed(0))
    fenced = f"```python\n{rejected}\n```"
    again = sum(ask(SOURCE, s, Rejected_source=fenced)["source"] == rejected for s in range(200))
    assert 0.5 * (1 - MENDS) < again / 200 < 1.6 * (1 - MENDS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.template)
def test_a_sound_source_survives_what_a_trace_can_hold(family: Family) -> None:
    views = [*prefixes(), empty(), crashed()]
    for seed in range(4):
        made = load(sound(family, seed), "my_idea")
        assert (made.name, made.carrier) == ("my_idea", "code")
        assert overridden(made) == set(family.hooks)
        for view in views:
            called(made, view)
        assert not [key for key, value in vars(made).items() if not plain(value)]


class Mixed(Task):
    """Every kind of parameter, more is better, and one choice always crashes."""

    name = "mixed"
    objective = Objective("score", "maximize")
    space = SearchSpace(
        (
            Float("rate", 1e-4, 1.0, 0.01, log=True),
            Float("shift", -1.0, 1.0, 0.0),
            Int("depth", 1, 9, 3),
            PowerOfTwo("width", 8, 512, 64),
            Choice("mode", ("plain", "odd", "crash"), "plain"),
            Tuple("betas", (0.0, 0.5), (0.9, 0.999), (0.5, 0.9)),
            Subset("used", ("a", "b", "c")),
            Text("note", 20, "hello"),
            Float("still", 1.0, 1.0, 1.0),
        ),
        locked=("shift",),
    )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config: Any = self.configured(parent, proposal)
        if config["mode"] == "crash":
            return Outcome.failed(FailureKind.CRASH, "mode=crash crashes")
        return Outcome(config["depth"] + config["rate"] - config["betas"][0])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.template)
def test_a_sound_source_works_on_any_space(family: Family) -> None:
    effects: Counter[Effect] = Counter()
    for seed in range(3):
        task = Mixed()
        loop = Loop(
            task=task,
            proposer=RandomSearch(task.space, changes=1),
            acceptance=Greedy(),
            trials=50,
            seed=seed,
            pipeline=Pipeline([load(sound(family, seed), "my_idea")]),
        )
        loop.run()
        rows = loop.pipeline.ledger.rows("my_idea")
        assert not [row.error for row in rows if row.error]
        effects.update(row.effect for row in rows)
        own = [trial for trial in loop.trace if trial.proposal.origin == "my_idea"]
        failures = [trial.outcome.failure for trial in own]
        assert not [f for f in failures if f and f.kind is FailureKind.INVALID_PROPOSAL]
        made = load(sound(family, seed), "my_idea")
        frozen = {"frozen": tuple(p.name for p in task.space.active)}
        assert not made.propose(replace(loop.view(), settings=frozen).for_("mine/propose"))
    assert effects[Effect.DECISION] + effects[Effect.PROMPT] > 3


def test_the_placeholders_of_a_source_cannot_be_abused() -> None:
    evil = specification(FAMILIES[0]).replace("my_idea", '"; import os #')
    source = ask(SOURCE, 0, Specification=evil)["source"]
    assert f'name: ClassVar[str] = "{FAMILIES[0].names[0]}"' in source


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.template)
def test_a_sound_source_acts_in_a_search_without_an_error(family: Family) -> None:
    effects: Counter[Effect] = Counter()
    for seed, landscape in enumerate(("trap", "noisy", "trap", "trap", "trap", "trap")):
        loop = searched(load(sound(family, seed), "my_idea"), landscape, seed)
        assert len(loop.trace) == 31
        rows = loop.pipeline.ledger.rows("my_idea")
        assert not [row.error for row in rows if row.effect is Effect.ERROR]
        effects.update(row.effect for row in rows)
    assert effects[Effect.DECISION] + effects[Effect.PROMPT] > 0


@pytest.mark.skipif(CONFINED is None, reason="no sandbox on this machine")
def test_confined_it_searches_alike_and_a_loop_without_end_is_ended() -> None:
    family = next(f for f in FAMILIES if f.template == "elites")
    inside = searched(load(sound(family), "my_idea"), "trap", 0)
    with confine(sound(family), limits=Limits(CONFINED or "")) as mechanism:
        outside = searched(mechanism, "trap", 0)
        assert not mechanism.lost
    assert [t.config for t in outside.trace] == [t.config for t in inside.trace]
    endless = BREAKAGES["infinite_loop"](sound(family), keyed(0))
    with confine(endless, limits=Limits(CONFINED or "", call_s=0.3)) as mechanism:
        searched(mechanism, "trap", 0, trials=2)
        assert mechanism.kills


def searched(mechanism: Mechanism | None, landscape: str, seed: int, trials: int = 30) -> Loop:
    task = Surrogate(landscape)
    client = scripted_client(name="scripted", model="scripted")
    with Session(client, Journal(None), CallLedger(), seed) as session:
        loop = Loop(
            task=task,
            proposer=LLMProposer(task.space),
            acceptance=Greedy(),
            trials=trials,
            seed=seed,
            asker=session.asker,
            pipeline=Pipeline([] if mechanism is None else [mechanism]),
        )
        loop.run()
    return loop


@functools.cache
def plain_search() -> Loop:
    return searched(None, "trap", 3)


def prefixes() -> Iterator[View]:
    """The view at every other trial of a search in which whatever did not help fails in the end."""
    loop = plain_search()
    outcome = Outcome.failed(FailureKind.OUT_OF_MEMORY, "out of memory")
    trials = [
        t if t.kept or t.number < 10 else replace(t, outcome=outcome, decision=Decision.FAIL)
        for t in loop.trace
    ]
    for length in range(2, len(trials), 2):
        trace = Trace(trials[:length])
        standing = trace.standing[-1]
        yield replace(loop.view(), trace=trace, incumbent=standing, parent=standing)


def empty() -> View:
    return replace(plain_search().view(), trace=Trace(), incumbent=None, parent=None)


def crashed() -> View:
    """The same search, had everything failed, its baseline too."""
    view = plain_search().view()
    outcome = Outcome.failed(FailureKind.CRASH, "it crashed")
    trials = [replace(t, outcome=outcome, decision=Decision.FAIL) for t in view.trace]
    return replace(view, trace=Trace(trials), incumbent=None, parent=None)


@dataclass(frozen=True)
class Called:
    """What the hooks answered at one view, and what they were given."""

    answers: Mapping[str, Any]
    given: Mapping[str, Any]


def called(mechanism: Mechanism, view: View) -> Called:
    """The hooks in the order of a trial; the candidate is what the search tried next there."""
    following = plain_search().trace[min(view.trial, 30)]
    candidates = (following.proposal, Proposal({"MATRIX_LR": 0.08}), Proposal({"NOWHERE": 1}))
    own = replace(Proposal({"SCALAR_LR": 0.4}), origin=mechanism.name)
    brief = Brief(view.trace[:], "notes")
    given: dict[str, Any] = {"parent": None, "brief": brief, "propose": ()}
    given |= {"review": (*candidates, own), "accept": None, "observe": None}
    arguments = {"brief": (brief,), "review": (given["review"],)}
    arguments |= {"accept": (following,), "observe": (following,)}
    answers = {
        hook: getattr(mechanism, hook)(view.for_(f"mine/{hook}"), *arguments.get(hook, ()))
        for hook in HOOKS
    }
    return Called(answers, given)


def overridden(mechanism: Mechanism) -> set[str]:
    kind = type(mechanism)
    return {hook for hook in HOOKS if getattr(kind, hook) is not getattr(Mechanism, hook)}


def plain(value: object) -> bool:
    try:
        pack(value)
    except TypeError:
        return False
    return True


@functools.cache
def ailment(source: str) -> str:
    """What an admission would find: by reading, by loading, and by calling. "" if sound."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return "syntax_error"
    imported = {
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    }
    if imported & {"socket", "subprocess"}:
        return "forbidden_import"
    if any(isinstance(node, ast.While) for node in ast.walk(tree)):
        return "infinite_loop"
    try:
        made = load(source, "my_idea")
    except BadInput as error:
        raise AssertionError(f"{error}\n{source}") from error
    if not overridden(made):
        return "no_hook"
    if not all(map(plain, vars(made).values())):
        return "hidden_state"
    return _when_called(source)


def _when_called(source: str) -> str:
    try:
        called(load(source, "my_idea"), empty())
    except AttributeError:
        return "no_incumbent"
    one, same, other = (_answers(source, state) for state in (1, 1, 2))
    assert one == same
    if one != other:
        return "unseeded"
    return "" if any(c.answers != c.given for c in one) else "dead_code"


def _answers(source: str, state: int) -> list[Called]:
    random.seed(state)
    made = load(source, "my_idea")
    return [called(made, view) for view in prefixes()]
