"""A confined mechanism is the mechanism: the same searches, the same errors, the same questions."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.random_search import RandomSearch
from bilevel.errors import BudgetExhausted, ConfigError
from bilevel.journal import Journal
from bilevel.levels.segment import Segment
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.activations import Effect
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.proposers.llm import LLMProposer
from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import MechanismRaised, SandboxError
from bilevel.sandbox.worker_handle import Limits
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal
from bilevel.view import Answer, Ask
from tests.helpers import GUIDED, Listed, loop
from tests.sandbox.sources.placebo import Placebo
from tests.sandbox.sources.restart import Restart
from tests.sandbox.sources.tabu import Tabu

KINDS: list[tuple[type[Mechanism], dict[str, Any]]] = [
    (Tabu, {"tenure": 4}),
    (Restart, {"period": 3}),
    (Placebo, {}),
]


def searched(mechanism: Mechanism, seed: int = 3) -> Loop:
    """A search by the scripted model on trap."""
    task = Surrogate("trap")
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    made = Loop(
        task=task,
        proposer=LLMProposer(task.space),
        acceptance=Greedy(),
        trials=12,
        seed=seed,
        pipeline=Pipeline([mechanism]),
        asker=Session(client, Journal(None), CallLedger(), seed).asker,
    )
    made.run()
    return made


def rows(ran: Loop) -> list[Any]:
    return [replace(row, seconds=0.0) for row in ran.pipeline.ledger.rows()]


@pytest.mark.parametrize(("kind", "arguments"), KINDS, ids=lambda k: getattr(k, "name", ""))
def test_a_search_is_the_same_trial_by_trial(
    kind: type[Mechanism], arguments: dict[str, Any], layer: str
) -> None:
    text = inspect.getsource(inspect.getmodule(kind))  # type: ignore[arg-type]
    inside = searched(kind(**arguments))
    with confine(text, arguments, Limits(layer)) as confined:
        outside = searched(confined)
    assert (confined.name, confined.carrier) == (kind.name, kind.carrier)
    plain = [replace(t.outcome, clock={}) for t in inside.trace]
    assert [replace(t.outcome, clock={}) for t in outside.trace] == plain
    for one, other in zip(inside.trace, outside.trace, strict=True):
        assert replace(one, outcome=other.outcome) == other
    assert rows(inside) == rows(outside)
    assert not confined.kills


def test_random_search_is_the_same_too(layer: str) -> None:
    def ran(mechanism: Mechanism) -> list[Any]:
        task = Surrogate("trap")
        made = Loop(
            task=task,
            proposer=RandomSearch(task.space, changes=1),
            acceptance=Greedy(),
            trials=30,
            seed=5,
            pipeline=Pipeline([mechanism]),
        )
        made.run()
        assert not [r for r in made.pipeline.ledger.rows() if r.effect is Effect.ERROR]
        return [t.config for t in made.trace]

    with confine(inspect.getsource(inspect.getmodule(Tabu)), {}, Limits(layer)) as confined:  # type: ignore[arg-type]
        assert ran(confined) == ran(Tabu())


CODE = """
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

class Mine(Mechanism):
    name = "mine"
    def {hook}(self, view, *given):
        {body}
"""


def mine(body: str, hook: str = "propose", **limits: Any) -> ConfinedMechanism:
    return confine(CODE.format(hook=hook, body=body), limits=Limits(**limits))


def ran_loop() -> Loop:
    made = loop({"X": 4.0}, {"X": 6.0}, {"MODE": "crash"})
    made.run()
    return made


def test_the_view_inside_is_the_view_outside() -> None:
    body = (
        "return [Proposal({'rng': [view.rng.random() for _ in range(3)]},"
        " hypothesis=repr((view.level, view.seed, view.trial, view.trials_left, view.objective,"
        " tuple(view.trace), view.incumbent, view.parent, view.space, view.settings,"
        " view.settings_space, view.base, view.trace.best(view.objective))), origin=view.source())]"
    )
    view = ran_loop().view().for_("mine/propose")
    with mine(body) as confined:
        made = confined.propose(view)[0]
    assert made.changes["rng"] == tuple(view.rng.random() for _ in range(3))
    assert made.origin == view.source()
    # `moves` is a frozenset, whose order inside and outside may differ
    expected = (
        *(view.level, view.seed, view.trial, view.trials_left, view.objective),
        *(tuple(view.trace), view.incumbent, view.parent, view.space, view.settings),
        *(view.settings_space, view.base, view.trace.best(view.objective)),
    )
    assert sorted(made.hypothesis) == sorted(repr(expected))


def test_the_loop_below_is_seen_too() -> None:
    segments = Loop(
        task=Segment(loop({"X": 1.0}, {"X": 0.5}, proposer=Listed({}, settings=GUIDED)), 1),
        proposer=Listed({}),
        acceptance=Greedy(),
        level=1.5,
    )
    segments.run(1)
    view = segments.view()
    assert view.below is not None
    with mine("return [Proposal({'n': len(view.below.trace), 't': view.below.source()})]") as m:
        assert m.propose(view)[0].changes == {
            "n": len(view.below.trace),
            "t": view.below.source(),
        }


def test_only_the_hooks_that_the_class_overrides_are_called() -> None:
    with mine("return None", hook="accept") as confined:
        own = [h for h in ("accept", "review", "brief") if h in vars(type(confined))]
        assert own == ["accept"]
        assert isinstance(confined, Mechanism)


def test_it_begins_anew_or_from_a_state() -> None:
    view = ran_loop().view()
    with mine("self.n = getattr(self, 'n', 0) + 1; return [Proposal({'n': self.n})]") as confined:
        made = [confined.propose(view)[0].changes["n"] for _ in range(2)]
        state = confined.state
        confined.begin()
        made.append(confined.propose(view)[0].changes["n"])
        confined.begin(state)
        made.append(confined.propose(view)[0].changes["n"])
        confined.close()
        confined.begin(state)
        made.append(confined.propose(view)[0].changes["n"])
    assert made == [1, 2, 1, 3, 3]


def test_an_error_comes_back_with_its_type_message_and_line() -> None:
    with mine("raise LookupError('no such thing')") as confined:
        for _ in range(2):
            with pytest.raises(MechanismRaised, match=r"LookupError: no such thing \(line 8\)$"):
                confined.propose(ran_loop().view())
        assert not confined.kills


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "expected exactly one subclass"),
        ("def f(:", "SyntaxError"),
        ("import mlflow_nothing", "ModuleNotFoundError"),
        ("from bilevel.mechanism import Mechanism\nclass M(Mechanism): name = ''", "needs a name"),
    ],
)
def test_a_source_that_is_no_mechanism_is_refused(text: str, message: str) -> None:
    with pytest.raises((SandboxError, ConfigError), match=message):
        confine(text)


class Model:
    """Answers every question with what it is, after one repair."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def asker(self, level: float, trial: int, purpose: str) -> Ask:
        def ask(
            prompt: str, schema: Mapping[str, Any], *, check: Any = None, **rest: Any
        ) -> Answer:
            self.asked.append((level, trial, purpose, prompt, dict(schema), rest))
            try:
                return Answer(check({"n": 0}) if check else None)
            except ValueError as problem:
                return Answer(check({"n": 1}), problem=str(problem))

        return ask


ASKING = """def check(value):
            if value["n"] == 0:
                raise ValueError("n is nought")
            return [value["n"], "checked"]
        made = view.ask("how many?", {"type": "object"}, check=check, temperature=0.5)
        return [Proposal({"answer": made.value}, hypothesis=made.problem)]"""


def test_the_model_is_asked_by_the_host_and_the_check_runs_inside() -> None:
    model = Model()
    view = replace(ran_loop().view(), asker=model.asker).for_("mine/propose")
    with mine(ASKING) as confined:
        made = confined.propose(view)[0]
    assert made == Proposal({"answer": [1, "checked"]}, hypothesis="n is nought")
    rest = {"system": "", "temperature": 0.5}
    assert model.asked == [(1, 4, "mine/propose", "how many?", {"type": "object"}, rest)]


def test_questions_have_an_allowance() -> None:
    model = Model()
    view = replace(ran_loop().view(), asker=model.asker)
    with (
        mine("return [view.ask('again', {}) for _ in range(9)]", asks=3) as confined,
        pytest.raises(MechanismRaised, match="may not be asked more often"),
    ):
        confined.propose(view)
    assert len(model.asked) == 3


def test_a_spent_budget_ends_the_search_and_not_only_the_call() -> None:
    def spent(level: float, trial: int, purpose: str) -> Any:
        def ask(*_: Any, **__: Any) -> Answer:
            raise BudgetExhausted("no calls left")

        return ask

    view = replace(ran_loop().view(), asker=spent)
    with mine("view.ask('more', {})") as confined, pytest.raises(BudgetExhausted):
        confined.propose(view)


def test_what_was_done_to_the_trace_inside_changes_nothing() -> None:
    body = (
        "view.trace._shared.clear(); object.__setattr__(view.incumbent, 'number', 77);"
        " return [Proposal({'n': len(view.trace._shared)})]"
    )
    ran = ran_loop()
    before = list(ran.trace)
    with mine(body) as confined:
        assert confined.propose(ran.view())[0].changes == {"n": 0}
        confined.propose(ran.view())
    assert list(ran.trace) == before


def test_a_brief_shows_the_searchs_own_trials_whatever_was_done_to_the_copies() -> None:
    body = "object.__setattr__(given[0].trials[1], 'seed', 99); return given[0].add('look')"
    view = ran_loop().view()
    from bilevel.view import Brief

    with mine(body, hook="brief") as confined:
        made = confined.brief(view, Brief(view.trace))
    assert [*made.trials] == [*view.trace]
    assert made.text == "look"
    with (
        mine("from bilevel.view import Brief; return Brief([view.trace[0]] * 2)", "brief") as twice,
        mine(
            "from dataclasses import replace; return replace(given[0], trials=[replace("
            "view.trace[0], number=50)])",
            "brief",
        ) as invented,
    ):
        assert len(twice.brief(view, Brief()).trials) == 2
        with pytest.raises(ValueError, match="50 is not in the trace"):
            invented.brief(view, Brief(view.trace))


def test_libraries_can_be_imported_inside(layer: str) -> None:
    body = (
        "import numpy; return [Proposal({'n': int(numpy.ones((9, 9)).dot(numpy.ones(9)).sum())})]"
    )
    with mine(body, layer=layer) as confined:
        assert confined.propose(ran_loop().view())[0].changes == {"n": 81}


def test_what_cannot_be_shown_costs_a_call_and_nothing_else() -> None:
    view = ran_loop().view()
    odd = replace(view.trace[3], proposal=Proposal({"X": object()}))
    with mine("return [Proposal({'n': view.trace[3].number})]") as confined:
        with pytest.raises(TypeError, match="object cannot be sent"):
            confined.propose(replace(view, trace=type(view.trace)([*view.trace[:3], odd])))
        assert confined.propose(view)[0].changes == {"n": 3}


def test_a_mechanism_is_confined_with_its_arguments() -> None:
    source = Path(inspect.getfile(Tabu)).read_text()
    with confine(source, {"tenure": 2}) as confined:
        assert confined.name == "tabu"
    with pytest.raises(MechanismRaised, match="tenure=-1: expected a whole number"):
        confine(source, {"tenure": -1})
