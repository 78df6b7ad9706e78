"""The plan of a dry run: estimates what searches would run and cost."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

from hydra.utils import instantiate

from bilevel.config.checks import not_given
from bilevel.journal import Journal
from bilevel.llm.tokens import text_tokens
from bilevel.search.build import levels
from bilevel.search.identity import identify
from bilevel.tasks.base import Task
from bilevel.view import nobody

_SESSION_CALLS = {"diagnose": 4, "free": 1}  # by how a mechanism is asked for
# Prompts and replies, measured on trap and cpu_gpt with the scripted stand-in. Levels 1 and 1.5
# also show what the task tells of itself, whose length is its own.
_CALL_TOKENS = (1340, 80)
_TUNER_TOKENS = (1450, 140)
_SESSION_TOKENS = {
    "diagnose": {"interface": (4000, 500), "source": (6200, 500)},
    "free": {"interface": (8500, 600), "source": (16600, 600)},
}  # a call of level 2, by how it asks and by context
_ABOUT_TOKENS = 3130  # of cpu_gpt's, for a task that cannot be made here


@dataclass(frozen=True)
class Plan:
    """The estimated cost of one search or several. Trials and time are what would be charged;
    calls, tokens and money are estimates without repair rounds. `limit_h` is the most that tasks
    with a time limit take; `guessed` counts searches whose task cannot be read, for which prompts
    as long as those of cpu_gpt are assumed."""

    search: str
    trials: int
    others: int  # baselines and confirmations
    modelled_h: float
    limit_h: float
    calls: int
    tokens_in: int
    tokens_out: int
    usd: float
    guessed: int = 0

    def __str__(self) -> str:
        hours = [f"{self.modelled_h:.2f} modelled hours"] if self.modelled_h else []
        hours += [f"at most {self.limit_h:.2f} hours"] if self.limit_h else []
        guess = " (its task is not there to be read: as on cpu_gpt)" if self.guessed else ""
        return (
            f"{self.search}: {self.trials:,} trials, {self.others} for baselines and confirming, "
            f"{', '.join(hours) or 'microseconds a trial'}, about {self.calls:,} model calls, "
            f"{self.tokens_in + self.tokens_out:,} tokens, {self.usd:.2f} US dollars{guess}"
        )


@dataclass(frozen=True)
class _Asked:
    """How often a model is asked, in how many tokens, and for how many US dollars."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0

    def __add__(self, other: "_Asked") -> "_Asked":
        return _Asked(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: int) -> "_Asked":
        return _Asked(*(count * number for number in astuple(self)))


def plan(settings: Mapping[str, Any]) -> Plan:
    search, task, llm = settings["search"], settings["task"], settings["llm"]
    source, halves, inner = _read(settings)
    runs = search["trials"] + 1 + 2 * halves * search["confirm_seeds"]
    asked = _asked(settings, source) + inner
    modelled = task.get("budget_s")
    return Plan(
        search=f"{identify(settings).search} task={task['name']} llm={llm['name']}",
        trials=search["trials"],
        others=runs - search["trials"],
        modelled_h=runs * (modelled or 0) / 3600,
        limit_h=0 if modelled else runs * task.get("limit_s", 0) / 3600,
        guessed=bool(llm.get("_target_")) and source is None,
        **asdict(asked),
    )


def together(plans: Sequence[Plan]) -> Plan:
    names = [field.name for field in fields(Plan) if field.name != "search"]
    sums = {name: sum(getattr(one, name) for one in plans) for name in names}
    return Plan(search=f"{len(plans)} searches", **sums)


def _asked(settings: Mapping[str, Any], source: int | None) -> _Asked:
    """Returns what one search asks its model, whose prompts tell this many tokens of the task."""
    llm = settings["llm"]
    if not llm.get("_target_"):
        return _Asked()
    trials = steps = settings["search"]["trials"]
    baseline, proposer = settings["baseline"], settings["inner"].get("proposer") or {}
    prompt, reply = _CALL_TOKENS
    about = _ABOUT_TOKENS if source is None else source
    inner = settings["inner"].get("tokens_a_call", prompt + about)
    prompt = baseline.get("tokens_a_call", inner)
    extra = proposer.get("extra_tokens_a_trial", 0) * trials
    calls = round(trials * baseline.get("calls_a_trial", 1)) + extra // (prompt + reply)
    tunings = sessions = 0
    session = (0, 0)
    for spec in settings["outer"]["levels"].values():
        steps = -(-steps // spec["every"])
        if spec.get("attaching"):
            candidates = spec.get("screening", {}).get("candidates", 1)
            asked = spec["proposer"].get("session", "diagnose")
            sessions += _SESSION_CALLS[asked] * candidates * max(0, steps - 1)
            session = _SESSION_TOKENS[asked][spec["proposer"]["context"]]
        elif "temperature" in spec["proposer"]:
            tunings += max(0, steps - 1)
    tuning = (_TUNER_TOKENS[0] + about, _TUNER_TOKENS[1])
    kinds = ((calls, (prompt, reply)), (tunings, tuning), (sessions, session))
    tokens_in, tokens_out = (sum(count * tokens[way] for count, tokens in kinds) for way in (0, 1))
    prices = [llm.get(f"price_per_mtok_{way}", 0.0) for way in ("in", "out")]
    usd = (tokens_in * prices[0] + tokens_out * prices[1]) / 1e6
    return _Asked(calls + tunings + sessions, tokens_in, tokens_out, usd)


def _read(settings: Mapping[str, Any]) -> tuple[int | None, int, _Asked]:
    """Returns the tokens of the task's description, or None where the task is not given; on how
    many tasks the best is confirmed; and what the searches ask that evaluating runs. Builds the
    search as a run would, so that it raises whatever building raises."""
    if not_given(settings):
        return (0 if settings["baseline"]["proposer"] else None), 1, _Asked()
    with contextlib.ExitStack() as stack:
        task: Task = instantiate(settings["task"], _convert_="all")
        stack.callback(task.close)
        for loop in levels(settings, task, journal=Journal(None), asker=nobody, observers=()):
            stack.callback(loop.pipeline.close)
        again = 2 * settings["search"]["confirm_seeds"]
        inner = _inside(task, settings["search"]["trials"] + 1 + again)
        if task.held_out is None:
            return _described(settings, task), 1, inner
        return _described(settings, task), 2, inner + _inside(task.held_out, again)


def _inside(task: Task, evaluations: int) -> _Asked:
    """Returns what the searches ask that so many evaluations of a task run, at most."""
    inner = task.inner_searches()
    if inner is None:
        return _Asked()
    each = (_asked(inner.settings, _described(inner.settings, one)) for one in inner.tasks)
    return sum(each, _Asked()).times(evaluations * inner.repeats)


def _described(settings: Mapping[str, Any], task: Task) -> int:
    """Returns the tokens of a task's description, as the proposer of these settings shows it:
    somebody else's does not show what is edited."""
    about = task.describe()
    own = settings["baseline"]["proposer"]
    told = (about.facts, *about.meanings.values(), *([] if own else [about.source]))
    return sum(map(text_tokens, told))
