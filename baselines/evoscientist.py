"""Goes in one direction for an episode, judges it, and remembers which failed and what helped."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from bilevel.baselines.directions import Direction, Questions, feasible, notes
from bilevel.baselines.episode import Episode, topic
from bilevel.baselines.memory import FAILED, FEASIBLE, STRATEGY, Entry, Memory, from_json, to_json
from bilevel.baselines.shared_memory import SharedMemory
from bilevel.baselines.similarity import repeats
from bilevel.baselines.situation import last, locked, situation
from bilevel.baselines.tournament import ranked
from bilevel.errors import ConfigError
from bilevel.llm.prompts import Prompt, cell
from bilevel.llm.reply import MAX_HYPOTHESIS, by_name
from bilevel.llm.schemas import TEXT, changes, record
from bilevel.llm.tables import trial_table
from bilevel.settings import FREE, SharedIf
from bilevel.space import SearchSpace
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Answer, Brief, View

_PROPOSE = Prompt(Path(__file__).with_name("evo_propose.md"))
_MEMORIES = ("search", "study")
_ORIGIN = "llm"


class EvoScientist:
    """An episode is `episode_trials` trials in one direction. At its start two entries of the
    ideation memory are retrieved, those that helped to build on and those that failed to keep
    away from; up to `directions` are ranked by pairwise Elo, the best is tried and the next ones,
    `kept` in all, stand again at the next episode. One entry of the experiment memory that is
    close to the chosen direction is shown with every proposal.

    At its end an episode without a valid run is an implementation failure, and the direction is
    retried, `retries` times at most. One whose best trial is worse than what it was built on by
    more than the noise of a difference has failed, and the model says why; one that is better is
    remembered with a strategy. What lies between is not remembered.

    `memory=study` begins with what other searches of the study remember, as `shared` holds it
    then, and adds to it; without `shared` (a replay with a change) the study's is left as it is.
    An episode that the search's end would cut short is then judged before the last trial.

    EvoScientist, arXiv 2603.08127; a reconstruction over parameters in the place of ideas and code:
    one level of directions instead of a tree, TF-IDF instead of an embedding, 6 directions instead
    of 21 by default, and Elo over as many rounds as it takes to halve the field to one.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace,
        *,
        memory: Annotated[str, SharedIf("study")] = "search",
        shared: Annotated[SharedMemory | None, FREE] = None,
        episode_trials: int = 6,
        directions: int = 6,
        kept: int = 3,
        ideas_shown: int = 2,
        strategies_shown: int = 1,
        retries: int = 3,
        noise_sd: float = 0.001,
        shown: int = 20,
        max_changes: int = 3,
        temperature: float | None = None,
    ) -> None:
        if memory not in _MEMORIES:
            raise ConfigError(f"evoscientist: memory={memory!r}: expected search or study")
        if not 5 <= episode_trials <= 10 or not 1 <= kept <= directions <= 21:
            raise ConfigError(
                f"evoscientist: episode_trials={episode_trials}, directions={directions}, "
                f"kept={kept}: expected 5 to 10 trials, and 1 <= kept <= directions <= 21"
            )
        self.memory = Memory()
        self._of_study = memory == "study"
        self._shared = shared
        self._episode_trials = episode_trials
        self._directions = directions
        self._kept = kept
        self._ideas_shown = ideas_shown
        self._strategies_shown = strategies_shown
        self._retries = retries
        self._noise = math.sqrt(2) * noise_sd
        self._shown = shown
        self._max_changes = min(max_changes, len(space.active))
        self._temperature = temperature
        self._has_read = False
        self._episode: Episode | None = None
        self._next_best: list[Direction] = []

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        self._read(view)
        if self._episode is not None and self._is_due(view, self._episode):
            self._episode = self._judged(view, self._episode)
        if self._episode is None:
            opened = self._open(view)
            if opened.problem:
                return [Proposal({}, origin=_ORIGIN, prompt=opened.prompt, problem=opened.problem)]
            self._episode = opened.value
        return [self._candidate(view, brief, self._episode)]

    def _read(self, view: View) -> None:
        """Adds what the study remembers, once; a search that is executed again reads the same."""
        if self._has_read:
            return
        self._has_read = True
        if self._of_study:
            shared = self._shared
            found = view.recall(
                "memory",
                {"memory": "study"},
                lambda: {"entries": [] if shared is None else shared.read()},
            )
            self.memory = Memory(map(from_json, found["entries"]))

    def _remember(self, view: View, entry: Entry) -> None:
        if not self.memory.add(entry) or not self._of_study:
            return
        shared, line = self._shared, to_json(entry)

        def written() -> dict[str, Any]:
            if shared is not None:
                shared.append(line)
            return {}

        view.recall(f"remember/{len(self.memory.entries)}", line, written)

    def _questions(self, view: View) -> Questions:
        recent = last(view.trace, self._shown)
        return Questions(view, situation(view, view.base, recent), self._temperature)

    def _open(self, view: View) -> Answer:
        """Return an answer whose value is a new episode, or whose problem says why there is
        none."""
        failed = self.memory.texts(FAILED)
        standing = [one for one in self._next_best if not repeats(one.text, failed)]
        shown = self.memory.closest((FEASIBLE, FAILED), topic(view), self._ideas_shown)
        questions = self._questions(view)
        answer = questions.directions(
            self._directions - len(standing), shown, [*failed, *(one.text for one in standing)]
        )
        if answer.problem:
            return answer
        ranking = [one for one, _ in ranked([*answer.value, *standing], questions.first_wins)]
        best, *self._next_best = ranking[: self._kept]
        strategies = self.memory.closest((STRATEGY,), best.text, self._strategies_shown)
        value = None if view.parent is None else view.parent.value
        return replace(answer, value=Episode(best, len(view.trace), value, (*shown, *strategies)))

    def _is_due(self, view: View, episode: Episode) -> bool:
        count = len(view.trace) - episode.start
        ending = self._of_study and view.trials_left == 1 and count > 0
        return not episode.judged and (ending or count >= self._episode_trials)

    def _judged(self, view: View, episode: Episode) -> Episode | None:
        """Judges an episode. Return one that retries its direction, the same one marked as
        judged where it has not reached its end, or None for a new one."""
        result = episode.result(view)
        if result.best is None and episode.attempt <= self._retries:
            return replace(episode, start=len(view.trace), attempt=episode.attempt + 1)
        gain, evidence, told = result.gain, result.evidence, trial_table(result.ran, view)
        questions, direction = self._questions(view), episode.direction
        if gain is None or gain < -self._noise:
            self._remember(view, questions.failure(direction, evidence, told))
        elif gain > self._noise:
            self._remember(view, feasible(direction, evidence))
            strategy = questions.strategy(direction, evidence, told)
            if strategy is not None:
                self._remember(view, strategy)
        at_its_end = len(view.trace) - episode.start >= self._episode_trials
        return None if at_its_end else replace(episode, judged=True)

    def _candidate(self, view: View, brief: Brief, episode: Episode) -> Proposal:
        """Return the episode's next proposal; an unusable reply becomes its problem."""

        def check(reply: Any) -> tuple[dict[str, Any], str]:
            legal = view.space.check(by_name(reply["changes"]))
            moved = {name: value for name, value in legal.items() if value != view.base[name]}
            if not moved:
                raise ValueError("nothing differs from the current values")
            return moved, cell(reply["hypothesis"], MAX_HYPOTHESIS)

        names = [parameter.name for parameter in view.space.active]
        listed = changes(names, most=self._max_changes)
        schema = record({"hypothesis": TEXT, "changes": listed})
        prompt = self._prompt(view, brief, episode)
        answer = view.ask(prompt, schema, check=check, temperature=self._temperature)
        if answer.problem:
            return Proposal({}, origin=_ORIGIN, prompt=answer.prompt, problem=answer.problem)
        moved, hypothesis = answer.value
        return Proposal(moved, hypothesis, _ORIGIN, answer.prompt)

    def _prompt(self, view: View, brief: Brief, episode: Episode) -> str:
        recent = last(brief.trials, self._shown)
        avoid = notes(episode.shown)
        again = f"Attempt {episode.attempt} of {self._retries + 1}: none of the experiments ran."
        return _PROPOSE.fill(
            situation(view, view.base, recent),
            direction=str(episode.direction),
            core_idea=episode.direction.core_idea,
            avoid=avoid,
            attempt=again if episode.attempt > 1 else "",
            remembered="\n".join(str(e) for e in episode.shown if e.kind == STRATEGY) or "none",
            locked=locked(view, view.base),
            shown=f"{len(recent)} of {len(view.trace)} shown.",
            notes=brief.text.strip() or "none",
            max_changes=str(self._max_changes),
        )
