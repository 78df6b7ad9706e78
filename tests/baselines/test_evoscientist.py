"""Episodes in ranked directions, how they are judged, what is remembered, and who reads it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.evoscientist import EvoScientist
from bilevel.baselines.memory import FAILED, FEASIBLE, STRATEGY, Idea, Strategy
from bilevel.commands.replay import main
from bilevel.config.checks import check as checked
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import BilevelError, ConfigError, SpaceError
from bilevel.journal import projection, read
from bilevel.llm.client import ChatClient
from bilevel.loop.loop import Loop
from bilevel.search.execution import Execution
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.search.run import search
from bilevel.search.seed_noise import with_measured_noise
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import FailureKind
from bilevel.view import Answer, Asker
from tests.helpers import SPACE, loop

ANALYSIS = {
    "root_cause": "X is best at 5",
    "countermeasures": ["one", "two", "three"],
    "do_not_repeat": ["Do not raise X from 5"],
}
RULE = {"context": "X is too high", "strategy": "Halve X.", "confidence": "high"}
NAMES = ["Lower X", "Raise BATCH", "Change MODE", "Tune X and BATCH", "Shrink all", "Go far away"]


def named(*titles: str) -> dict[str, Any]:
    listed = [
        {"title": t, "core_idea": f"{t} in its own way.", "why": "w", "tags": [t]} for t in titles
    ]
    return {"directions": listed}


def x(value: float) -> dict[str, Any]:
    return {"hypothesis": "X", "changes": [{"parameter": "X", "value": value}]}


NOTE = """\
from bilevel.mechanism import Mechanism


class Note(Mechanism):
    name = "note"

    def brief(self, view, brief):
        return brief.add("Lower TOTAL_BATCH_SIZE.")
"""
CRASH = {"hypothesis": "m", "changes": [{"parameter": "MODE", "value": "crash"}]}
GOOD = [x(5.0 - n / 10) for n in range(1, 40)]
BAD = [x(5.0 + n / 10) for n in range(1, 40)]


class Model:
    """Answers by what is asked for: directions in order, the favourite title wins."""

    def __init__(
        self,
        proposals: Sequence[Any],
        fields: Sequence[Any] = (),
        favourite: str = "Lower X",
        **spoilt: Any,
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        self._proposals = iter(proposals)
        self._directions = iter([*fields, *[named(*NAMES)] * 20])
        self._favourite = favourite
        self._spoilt = spoilt

    def prompts(self, kind: str) -> list[str]:
        return [prompt for asked, prompt in self.asked if asked == kind]

    @property
    def asker(self) -> Asker:
        def ask(prompt: str, schema: Any, *, check: Any = None, **rest: Any) -> Answer:
            kind = next(iter(schema["properties"]))
            self.asked.append((kind, prompt))
            if kind in self._spoilt:
                return Answer(None, self._spoilt[kind], prompt="d")
            reply = json.loads(json.dumps(self._reply(kind, prompt)))
            try:
                return Answer(check(reply) if check else reply, prompt="d")
            except (SpaceError, ValueError) as error:
                return Answer(None, str(error), prompt="d")

        return lambda level, trial, purpose: ask

    def _reply(self, kind: str, prompt: str) -> Mapping[str, Any]:
        if kind == "directions":
            return dict(next(self._directions))
        if kind == "hypothesis":
            return dict(next(self._proposals))
        if kind == "better":
            first = prompt.partition("## Direction A")[2].partition("## Direction B")[0]
            return {"better": "A" if self._favourite in first else "B", "reason": "r"}
        return ANALYSIS if kind == "root_cause" else RULE


def searched(model: Model, trials: int, **settings: Any) -> tuple[Loop, EvoScientist]:
    made = EvoScientist(SPACE, **settings)
    ran = loop(proposer=made, trials=trials, asker=model.asker)
    ran.run()
    return ran, made


class TestAnEpisode:
    def test_six_directions_are_ranked_and_the_best_is_tried_for_six_trials(self) -> None:
        model = Model(GOOD)
        _, made = searched(model, 6)
        assert len(model.prompts("directions")) == 1
        assert 8 <= len(model.prompts("better")) <= 9
        assert all(
            "## Direction\n\n```data\nLower X: Lower X in" in p for p in model.prompts("hypothesis")
        )
        assert made.memory.entries == []
        assert "at most 6 directions" in model.prompts("directions")[0]
        assert "$" not in "".join(prompt for _, prompt in model.asked)

    def test_the_next_best_two_stand_again_and_fewer_are_asked_for(self) -> None:
        model = Model(GOOD, [named(*NAMES), named("A new one")], "A new one")
        searched(model, 7)
        assert "at most 4 directions" in model.prompts("directions")[1]
        assert "Direction\n\n```data\nA new one:" in model.prompts("hypothesis")[6]

    def test_an_unusable_reply_about_directions_is_a_charged_failure(self) -> None:
        ran, _ = searched(Model(GOOD, directions="no JSON"), 2)
        kinds = [t.outcome.failure.kind for t in ran.trace[1:] if t.outcome.failure]
        assert kinds == [FailureKind.INVALID_PROPOSAL] * 2
        assert ran.trace[1].proposal.problem == "no JSON"

    def test_without_answers_to_comparisons_the_first_one_named_is_tried(self) -> None:
        model = Model(GOOD, favourite="Go far away", better="no JSON")
        searched(model, 1)
        assert "Direction\n\n```data\nLower X:" in model.prompts("hypothesis")[0]

    def test_a_direction_named_twice_stands_once(self) -> None:
        model = Model(GOOD, [named("Lower X", "Lower X", "Raise BATCH")])
        searched(model, 1)
        assert len(model.prompts("better")) == 1

    @pytest.mark.parametrize(
        "settings",
        [
            {"episode_trials": 4},
            {"episode_trials": 11},
            {"directions": 22},
            {"kept": 7},
            {"memory": "all"},
        ],
    )
    def test_settings_that_make_no_sense_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=r"expected (5 to 10|search or study)"):
            EvoScientist(SPACE, **settings)


class TestItsEnd:
    def test_one_that_helped_is_remembered_with_a_strategy_and_shown_again(self) -> None:
        model = Model(GOOD)
        _, made = searched(model, 7)
        idea, strategy = made.memory.entries
        assert isinstance(idea, Idea)
        assert (idea.status, idea.title) == (FEASIBLE, "Lower X")
        assert idea.evidence == (
            "6 experiments, 0 of them failed; val_bpb 31 at the start, at best 25.36 "
            "(X 4.5 -> 4.4)."
        )
        assert isinstance(strategy, Strategy)
        assert strategy.evidence == idea.evidence
        assert "- Lower X (feasible)" in model.prompts("directions")[1]
        assert "- Halve X. Context: X is too high" in model.prompts("hypothesis")[6]
        assert "Halve X" not in model.prompts("hypothesis")[5]

    def test_one_that_did_harm_is_remembered_with_why_and_not_tried_again(self) -> None:
        model = Model(BAD)
        _, made = searched(model, 7)
        (idea,) = made.memory.entries
        assert isinstance(idea, Idea)
        assert (idea.status, idea.root_cause) == (FAILED, "X is best at 5")
        assert idea.countermeasures == ("one", "two", "three")
        asked = model.prompts("directions")[1]
        assert "- Lower X (failed)" in asked
        assert "Root cause: X is best at 5 Countermeasures: one / two / three" in asked
        assert "- Do not raise X from 5" in asked
        assert "- Do not raise X from 5" in model.prompts("hypothesis")[6]
        assert "Direction\n\n```data\nLower X:" not in model.prompts("hypothesis")[6]
        assert model.prompts("context") == []

    def test_what_lies_within_the_noise_is_not_remembered(self) -> None:
        for proposals in (BAD, GOOD):
            model = Model(proposals)
            _, made = searched(model, 7, noise_sd=20.0)
            assert made.memory.entries == []
            assert model.prompts("root_cause") == model.prompts("context") == []

    def test_the_noise_is_that_of_a_difference(self) -> None:
        step = [x(5.0 + 0.1)] * 7  # worse by 1.01
        assert searched(Model(step), 7, noise_sd=0.72)[1].memory.entries == []
        assert len(searched(Model(step), 7, noise_sd=0.7)[1].memory.entries) == 1

    def test_later_episodes_are_judged_against_what_they_were_built_on(self) -> None:
        model = Model([x(1.0), *BAD], favourite="X")
        _, made = searched(model, 13)
        assert [entry.kind for entry in made.memory.entries] == [FEASIBLE, STRATEGY, FAILED]

    def test_without_a_valid_run_it_is_retried_three_times_and_then_failed(self) -> None:
        model = Model([CRASH] * 40)
        _, made = searched(model, 25)
        shown = model.prompts("hypothesis")
        assert len(model.prompts("directions")) == 2
        assert all("Direction\n\n```data\nLower X:" in prompt for prompt in shown[:24])
        assert "Attempt" not in shown[5]
        assert "Attempt 2 of 4: none of the experiments ran." in shown[6]
        assert "Attempt 4 of 4" in shown[23]
        (idea,) = made.memory.entries
        assert idea.kind == FAILED
        assert idea.evidence == "6 experiments, 6 of them failed."

    def test_a_retry_that_runs_is_judged_as_any_other(self) -> None:
        _, made = searched(Model([CRASH] * 6 + GOOD), 13)
        assert [entry.kind for entry in made.memory.entries] == [FEASIBLE, STRATEGY]

    def test_an_unusable_reflection_leaves_what_was_measured(self) -> None:
        _, failed = searched(Model(BAD, root_cause="no JSON"), 7)
        (idea,) = failed.memory.entries
        assert isinstance(idea, Idea)
        assert (idea.status, idea.root_cause, idea.countermeasures) == (FAILED, "", ())
        _, helped = searched(Model(GOOD, context="no JSON"), 7)
        assert [entry.kind for entry in helped.memory.entries] == [FEASIBLE]


STUDY = (
    *("study=s", "arm=evoscientist", "baseline.memory=study", "task=trap", "tracking=none"),
    *("search.trials=8", "search.confirm_seeds=0"),
)


def ran(folder: Path, *overrides: str) -> Execution | None:
    settings = with_measured_noise(composed(CONF, [*STUDY, f"results={folder}", *overrides]))
    checked(settings)
    return search(settings)


@pytest.fixture(scope="module")
def two_searches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for seed in (1, 2):
        ran(folder, f"seed={seed}")
    return folder


@pytest.fixture
def studied(two_searches: Path, tmp_path: Path) -> Path:
    """A folder of results in which seeds 1 and 2 have searched, one after the other."""
    shutil.copytree(two_searches, tmp_path / "results")
    return tmp_path / "results"


def shared(folder: Path) -> Path:
    return folder / "searches" / "s" / "memory.jsonl"


def journal(folder: Path, seed: int, study: str = "s") -> Path:
    return folder / "searches" / study / f"evoscientist-seed{seed}" / "journal.jsonl"


def entries(path: Path, key: str) -> list[Any]:
    return [entry["data"] for entry in read(path) if entry["key"].endswith(key)]


class TestTheMemoryOfAStudy:
    def test_a_search_begins_with_what_the_one_before_remembers(self, studied: Path) -> None:
        lines = [json.loads(line) for line in shared(studied).read_text().splitlines()]
        first = [line["entry"] for line in lines if line["author"] == "evoscientist-seed1"]
        assert first
        assert entries(journal(studied, 1), "T1/memory") == [{"entries": []}]
        assert entries(journal(studied, 2), "T1/memory") == [{"entries": first}]
        path = journal(studied, 2)
        asked = (
            replay_exactly(settings_from_journal(path, CONF), path)
            ._calls.calls[0]
            .messages[0]["content"]
        )
        assert f"- {first[0]['title']} ({first[0]['status']})" in asked

    def test_a_killed_search_goes_on_to_the_same_journal_whatever_was_added_since(
        self, studied: Path
    ) -> None:
        path = journal(studied, 2)
        raw, whole, before = path.read_bytes(), projection(read(path)), shared(studied).read_text()
        ran(studied, "seed=3")
        after = shared(studied).read_text()
        assert after != before
        for share in (0.3, 0.99):
            path.write_bytes(raw[: int(len(raw) * share)])
            ran(studied, "seed=2")
            assert projection(read(path)) == whole
            assert shared(studied).read_text() == after  # nothing is written twice

    def test_a_replay_asks_nobody_and_leaves_the_memory_alone(
        self, studied: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared(studied).unlink()
        monkeypatch.setattr(ChatClient, "complete", pytest.fail)
        monkeypatch.setattr(Surrogate, "evaluate", pytest.fail)
        path = journal(studied, 2)
        assert replay_exactly(settings_from_journal(path, CONF), path).complete
        path.write_bytes(path.read_bytes()[:-3000])
        assert not replay_exactly(settings_from_journal(path, CONF), path).complete
        assert not shared(studied).exists()

    def test_a_replay_with_a_change_reads_what_was_read_and_writes_nothing(
        self, studied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = shared(studied).read_text()
        note = tmp_path / "note.py"
        note.write_text(NOTE)
        which = ("study=s", "arm=evoscientist", "seed=2", f"results={studied}")
        assert main([*which, f"with={note}", "tracking=none"]) == 0
        assert "first divergence: trial" in capsys.readouterr().out
        assert shared(studied).read_text() == before
        other = studied / "searches" / "s.replays"
        assert not (other / "memory.jsonl").exists()
        changed = next(other.glob("*/journal.jsonl"))
        assert entries(changed, "T1/memory") == entries(journal(studied, 2), "T1/memory")

    def test_a_search_started_over_reads_the_others_and_not_its_former_self(
        self, studied: Path
    ) -> None:
        (before,) = entries(journal(studied, 2), "T1/memory")
        ran(studied, "seed=2", "fresh=true")
        assert entries(journal(studied, 2), "T1/memory") == [before]

    def test_another_folder_is_the_same_search_and_another_memory_is_not(
        self, studied: Path
    ) -> None:
        moved = studied.rename(studied.with_name("moved"))
        assert ran(moved, "seed=1") is None
        with pytest.raises(BilevelError, match=r"baseline\.memory: was 'study', now 'search'"):
            ran(moved, "seed=1", "baseline.memory=search")

    def test_the_last_episode_is_judged_before_the_last_trial(self) -> None:
        proposals = [*GOOD[:6], *BAD]
        model = Model(proposals)
        _, made = searched(model, 9, memory="study")
        last = made.memory.entries[-1]
        assert isinstance(last, Idea)
        assert last.status == FAILED
        assert last.evidence.startswith("2 experiments, 0 of them failed")
        assert len(model.prompts("directions")) == 2
        _, forgetful = searched(Model(proposals), 9)
        assert [entry.kind for entry in forgetful.memory.entries] == [FEASIBLE, STRATEGY]
