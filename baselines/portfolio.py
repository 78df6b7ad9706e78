"""A portfolio: samplers and mechanisms share one search, and credit decides whose turn it is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Interval

from bilevel.baselines.member_credit import MemberCredit, credits, noted, order, shuffled
from bilevel.errors import BudgetExhausted, ConfigError, EndpointError, JournalError
from bilevel.mechanism import Mechanism
from bilevel.settings import Expected, Factor, one_of
from bilevel.space import SearchSpace
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, Proposer, View

OWN, SHUFFLED = "own", "shuffled"
_ORIGIN = "portfolio"
_log = logging.getLogger(__name__)

_Share = Annotated[float, Interval(gt=0, le=1), Expected("a number above 0, at most 1")]


class Portfolio:
    """A proposer of which one member has each trial; every member sees the whole trace, and
    `origin` tells whose a trial was.

    `samplers` are proposers by name, each as a file of conf/baseline or conf/inner has it under
    `proposer`; of `mechanisms`, by name, the hook `propose` is called and no other. Who has the
    trial is drawn by `credits`: a member's `own`, or, as a control, all of them `shuffled` among
    the members anew for every trial. `forgetting` is what a credit keeps from one trial to the
    next, `prior_improved` and `prior_not_improved` are those that a member begins with.

    A member that raises, or has nothing but what stands already, is passed over: the trial's
    hypothesis tells it, its credit falls, and the next one has the trial. A sampler that cannot
    search the space is left out, with a warning. Raises ConfigError where no member is left.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace,
        *,
        samplers: Mapping[str, Mapping[str, Any]],
        mechanisms: Mapping[str, Mechanism],
        forgetting: _Share = 0.95,
        prior_improved: Factor = 1.0,
        prior_not_improved: Factor = 1.0,
        credits: Annotated[str, *one_of((OWN, SHUFFLED))] = OWN,
    ) -> None:
        self._samplers = _made(samplers, space)
        self._mechanisms = dict(mechanisms)
        both = sorted({*self._samplers} & {*self._mechanisms})
        if both or not (self._samplers or self._mechanisms):
            told = f"{', '.join(both)} is there twice" if both else "no member is left"
            raise ConfigError(f"portfolio: {told}; expected members with names of their own")
        self._forgetting = forgetting
        self._prior = MemberCredit(prior_improved, prior_not_improved)
        self._credits = credits

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """What the first member proposes that has something; where none has, a proposal with a
        problem, which makes a failed trial."""
        passed: dict[str, str] = {}
        for name in self._order(view):
            try:
                made = self._asked(name, view.for_(f"{view.purpose}/{name}"), brief)
                useful = [one for one in made if one.changes and not one.problem]
                problems = [one.problem for one in made if one.problem]
            except (BudgetExhausted, EndpointError, JournalError):
                raise  # these end the search, whoever was asking
            except Exception as failure:  # any member may fail in any way
                passed[name] = f"{type(failure).__name__}: {failure}"
                continue
            if useful:
                return [
                    replace(one, origin=name, hypothesis=noted(passed, one.hypothesis))
                    for one in useful
                ]
            passed[name] = problems[0] if problems else "it proposed nothing"
        problem = "no member proposed anything"
        return [Proposal({}, noted(passed, ""), _ORIGIN, problem=problem)]

    def _order(self, view: View) -> Sequence[str]:
        names = (*self._samplers, *self._mechanisms)
        found = credits(view.trace, view.objective, names, self._forgetting)
        if self._credits == SHUFFLED:
            found = shuffled(found, view.for_(f"{view.purpose}/shuffled").rng)
        return order(found, self._prior, view.for_(f"{view.purpose}/order").rng)

    def _asked(self, name: str, view: View, brief: Brief) -> Sequence[Proposal]:
        if name in self._mechanisms:
            return self._mechanisms[name].propose(view)
        member = self._samplers[name]
        own = replace(view, settings=member.settings.baseline, settings_space=member.settings)
        return member.propose(own, brief)


def _made(samplers: Mapping[str, Mapping[str, Any]], space: SearchSpace) -> dict[str, Proposer]:
    found: dict[str, Proposer] = {}
    for name, described in samplers.items():
        make: Callable[[SearchSpace], Proposer] = described["proposer"]
        try:
            found[name] = make(space)
        except ConfigError as error:
            _log.warning("the portfolio goes without %s: %s", name, error)
    return found
