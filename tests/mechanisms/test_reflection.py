"""Reflection asks now and then, tells the proposer, and proposes what it was told."""

from bilevel.loop.activations import Effect, Liveness
from bilevel.mechanisms.reflection import Reflection
from bilevel.mechanisms.shared.trials import tried_moves
from bilevel.view import Brief
from tests.mechanisms.support import answering, own, search, view, walk

TRIALS = walk(5)


def test_it_asks_for_a_move_never_tried_tells_it_and_proposes_it() -> None:
    prompts: list[str] = []
    at = view(TRIALS, asker=answering(prompts))
    mechanism = Reflection(every=5)
    brief = mechanism.brief(at, Brief())
    (proposal,) = mechanism.propose(at)
    moves = at.space.moves(at.base, {**at.base, **at.space.check(proposal.changes)})
    ((name, way),) = moves
    assert not moves & tried_moves(at)
    assert f"step of {name} {way}. nothing to add" in brief.text
    assert f"- {name} {way}" in prompts[0]
    for tried_name, tried_way in tried_moves(at):
        assert f"- {tried_name} {tried_way}\n" not in prompts[0] + "\n"


def test_it_asks_once_every_so_many_trials() -> None:
    prompts: list[str] = []
    mechanism, walked = Reflection(every=4), walk(25)
    for count in range(25):
        at = view(walked[:count], asker=answering(prompts))
        mechanism.brief(at, Brief())
        mechanism.propose(at)
    assert len(prompts) == 6


def test_an_answer_that_cannot_be_used_changes_nothing() -> None:
    at = view(TRIALS, asker=answering(problem="no JSON"))
    mechanism = Reflection(every=5)
    assert mechanism.brief(at, Brief()) == Brief()
    assert mechanism.propose(at) == ()


def test_without_a_model_it_changes_nothing() -> None:
    mechanism = Reflection(every=5)
    assert mechanism.brief(view(TRIALS), Brief()) == Brief()
    assert mechanism.propose(view(TRIALS)) == ()


def test_an_answer_is_not_proposed_at_a_later_trial() -> None:
    mechanism, walked = Reflection(every=5), walk(6)
    mechanism.brief(view(TRIALS, asker=answering()), Brief())
    assert mechanism.propose(view(walked)) == ()


def test_it_is_live_where_a_search_fixates() -> None:
    ran = search(Reflection(), task="trap", trials=30)
    assert own(ran, "reflection")
    assert ran.pipeline.liveness("reflection", trial=31) is Liveness.LIVE
    effects = {row.effect for row in ran.pipeline.ledger.rows("reflection") if row.hook == "brief"}
    assert Effect.PROMPT in effects
