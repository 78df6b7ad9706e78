"""An arm that searches the tasks of a suite, composed once and then run on any task and seed."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hydra.utils import instantiate
from threadpoolctl import threadpool_limits

from bilevel.admission import admit
from bilevel.config.files import CONF, choices
from bilevel.config.overrides import composed
from bilevel.errors import BadInput, BudgetExhausted
from bilevel.invention import Admission
from bilevel.journal import Journal
from bilevel.llm import versions
from bilevel.llm.ledger import CallLedger
from bilevel.llm.session import Session
from bilevel.loop.activations import COIN, Effect
from bilevel.loop.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.sandbox.confined_mechanism import proxy
from bilevel.sandbox.worker_handle import Limits
from bilevel.search.build import levels
from bilevel.tasks.base import Task
from bilevel.trace import Trial
from bilevel.view import View, nobody

_PARTS = ("inner", "outer", "mechanisms", "rules", "without", "llm", "sandbox", "search", "arm")


@dataclass(frozen=True)
class Attached:
    """A mechanism's text with what the gates found it to be: what is run beside an arm."""

    source: str
    name: str
    carrier: str
    hooks: tuple[str, ...]

    @classmethod
    def admitted(cls, source: str, admission: Admission) -> Self:
        return cls(source, admission.name, admission.carrier, admission.hooks)

    def made(self, limits: Limits) -> Mechanism:
        """The mechanism, in a worker of its own that starts with its first call."""
        return proxy(self.source, self.name, self.carrier, self.hooks, limits)


@dataclass(frozen=True)
class Searched:
    """One search: its loop as it ended, and what it cost. Seconds are those of hook calls."""

    loop: Loop
    hook_s: float
    hook_calls: int
    stopped: bool
    tokens: int
    calls: int
    usd: float

    @property
    def cut_short(self) -> bool:
        """Whether a cap of its model ended it before its trials were spent."""
        return not self.loop.done

    def errors(self, name: str) -> int:
        """How many hook calls of the mechanism raised."""
        return sum(row.effect is Effect.ERROR for row in self.loop.pipeline.ledger.rows(name))


@dataclass(frozen=True)
class Contestant:
    """An arm, its settings as plain data. Raises ConfigError for an arm that cannot be composed."""

    settings: Mapping[str, Any]

    @classmethod
    def named(
        cls, arm: str, llm: str, trials: int, mechanism: str = "", overrides: Sequence[str] = ()
    ) -> Self:
        """The arm of this name with a budget of `trials` a search; `mechanism` is a file of
        conf/mechanisms that is attached to it."""
        chosen = [f"mechanisms={mechanism}"] if mechanism else []
        made = settings_of_arm(arm, llm, trials, [*chosen, *overrides])
        return cls({part: made[part] for part in _PARTS})

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(json.loads(text))

    def text(self) -> str:
        """What `from_text` makes it from again, in another process or from a journal."""
        return json.dumps(self.settings, sort_keys=True)

    @property
    def title(self) -> str:
        """The arm and the model that answers it, as results name them."""
        model = self.settings["llm"]
        return f"{self.settings['arm']}" + (f" with {model['name']}" if model["_target_"] else "")

    @property
    def has_model(self) -> bool:
        return self.settings["llm"]["_target_"] is not None

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of prompts and stand-in; none for an arm without a model."""
        if not self.has_model:
            return {}
        with contextlib.closing(instantiate(self.settings["llm"])) as client:
            return versions.today(client)

    def searched(
        self, task: Task, seed: int, mechanism: Mechanism | None = None, hook_limit_s: float = 0.0
    ) -> Searched:
        """Runs the search to its end, on one thread of numerical libraries. A mechanism whose hooks
        took longer than `hook_limit_s` in all (0: no limit) is detached for the rest of it."""
        begun = _Begun(self, task, seed, hook_limit_s)
        if mechanism is not None:
            begun.loops[0].pipeline.attach(mechanism, trial=0)
        paid = contextlib.suppress(BudgetExhausted)  # `cut_short` tells it
        with threadpool_limits(1), _quiet(), contextlib.closing(begun), paid:
            begun.loops[-1].run()
        return begun.searched()


class _Begun:
    """A search of a contestant: its loops, its model, and the time its hooks may still take."""

    def __init__(self, by: Contestant, task: Task, seed: int, hook_limit_s: float) -> None:
        self._ledger, self._stack = CallLedger(), contextlib.ExitStack()
        self._limit_s, self._stopped = hook_limit_s, False
        self._hook_s, self._hook_calls = 0.0, 0
        settings = {**by.settings, "seed": seed}
        journal, asker = Journal(None), nobody
        if by.has_model:
            client = instantiate(settings["llm"])
            self._stack.callback(client.close)
            client.endpoint.check()
            self._ledger = CallLedger(client.endpoint.caps)
            session = Session(client, journal, self._ledger, seed, by.title, aloud=False)
            asker = session.asker
        self.loops = levels(settings, task, journal=journal, asker=asker, observers=[self._timed])

    def _timed(self, loop: Loop, trial: Trial) -> None:
        if loop is not self.loops[0]:
            return
        called = [r for r in loop.pipeline.ledger.of_trial(trial.number) if r.hook != COIN]
        self._hook_calls += len(called)
        self._hook_s += sum(row.seconds for row in called)
        if self._limit_s and self._hook_s > self._limit_s and not self._stopped:
            self._stopped = True
            for mechanism in loop.pipeline.attached:
                loop.pipeline.detach(mechanism.name, len(loop.trace))

    def close(self) -> None:
        for loop in self.loops:
            loop.pipeline.close()
        self._stack.close()

    def searched(self) -> Searched:
        spent = self._ledger.total
        return Searched(
            loop=self.loops[0],
            hook_s=self._hook_s,
            hook_calls=self._hook_calls,
            stopped=self._stopped,
            tokens=spent.tokens,
            calls=spent.calls,
            usd=spent.usd,
        )


def settings_of_arm(
    arm: str, llm: str, trials: int, overrides: Sequence[str] = ()
) -> Mapping[str, Any]:
    """All settings of a search by this arm; a contestant keeps those that decide what it does."""
    one = [f"arm={arm}", f"search.trials={trials}", "task=trap"]
    return composed(CONF, [*one, *_model(arm, llm), *overrides])


def _model(arm: str, llm: str) -> list[str]:
    """The override that chooses the model, unless the arm asks none."""
    asks = composed(CONF, [f"arm={arm}", "task=trap"])["llm"]["_target_"] is not None
    return [f"llm={llm}"] if asks else []


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Replies that cannot be used are counted, not printed: there are thousands of searches."""
    logger = logging.getLogger("bilevel")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def half_searched(task: Task, trials: int) -> View:
    """Returns a search of this task without a mechanism or a model, half way through its trials:
    what the gates try a mechanism on that is meant for any task."""
    begun = _Begun(Contestant.named("random", "none", trials), task, seed=1, hook_limit_s=0.0)
    begun.loops[0].run(max(1, trials // 2))
    return begun.loops[0].view()


def text_of(mechanism: str) -> str:
    """Returns the text of a mechanism: of a file of conf/mechanisms by its name, or of the Python
    file at this path. Raises BadInput."""
    if mechanism.endswith(".py"):
        path = Path(mechanism).expanduser()
        if not path.is_file():
            raise BadInput(f"mechanism={mechanism}: there is no such file")
        return path.read_text()
    known = [name for name in choices("mechanisms", [CONF]) if name != "none"]
    if mechanism not in known:
        raise BadInput(
            f"mechanism={mechanism}: expected one of {', '.join(known)}, or the path of a .py file"
        )
    made = composed(CONF, ["task=trap", "arm=random", f"mechanisms={mechanism}"])["mechanisms"]
    return "\n".join(instantiate(spec).source() for spec in made.values())


def with_mechanism(
    mechanism: str,
    arm: str,
    llm: str,
    trials: int,
    probe: Task,
    limits: Limits,
    source: str = "",
) -> tuple[Contestant, Attached | None]:
    """Returns the arm with this mechanism, none where it is empty: a file of conf/mechanisms is
    part of the arm; a generated one, the Python file at this path or `source`, is attached in the
    sandbox if the gates let it in, which try it on `probe`. Raises BadInput, ConfigError."""
    if not mechanism:
        return Contestant.named(arm, llm, trials), None
    text = source or text_of(mechanism)
    if not source and not mechanism.endswith(".py"):
        return Contestant.named(arm, llm, trials, mechanism), None
    admission = admit(text, half_searched(probe, trials), limits)
    if not admission.admitted:
        raise BadInput(f"mechanism={mechanism} is not admitted: {admission.problem}")
    return Contestant.named(arm, llm, trials), Attached.admitted(text, admission)
