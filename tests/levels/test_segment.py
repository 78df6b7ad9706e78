"""Segments: a loop over a loop, with one history and one budget below."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.journal import Journal, projection, read
from bilevel.levels.segment import Segment
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.trace import Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View
from tests.helpers import GUIDED, Listed, loop

SIX: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 9.0, 8.0, 7.0, 2.0)]


def nested(journal: Journal | None = None) -> tuple[Loop, Loop, Listed]:
    inner = loop(*SIX, proposer=Listed(*SIX, settings=GUIDED), trials=6, journal=journal)
    tuner = Listed({"guidance": "first"}, {"guidance": "second"})
    outer = Loop(
        task=Segment(inner, 2), proposer=tuner, acceptance=Always(), level=2, journal=journal
    )
    return inner, outer, tuner


def test_the_first_segment_is_a_baseline_and_none_is_asked_after_the_last_trial() -> None:
    inner, outer, tuner = nested()
    outer.run()
    assert len(inner.trace) == 7
    assert len(outer.trace) == 3
    assert len(tuner.views) == 2
    assert [t.config["guidance"] for t in outer.trace] == ["", "first", "second"]
    assert [t.parent for t in outer.trace] == [None, 0, 1]


def test_settings_reach_the_proposer_below_for_that_stretch_and_after() -> None:
    inner, outer, _ = nested()
    outer.run()
    below = inner._proposer
    assert isinstance(below, Listed)
    guidance = [view.settings["guidance"] for view in below.views]
    assert guidance == ["", "", "first", "first", "second", "second"]


def test_the_value_is_the_gain_of_the_stretch() -> None:
    inner, outer, _ = nested()
    outer.run()
    assert [trial.value for trial in outer.trace] == [16.0, 0.0, 5.0]
    assert inner.best is not None
    assert inner.best.value == 10.0


def test_the_tuner_sees_the_loop_below() -> None:
    _, outer, tuner = nested()
    outer.run()
    below = tuner.views[0].below
    assert below is not None
    assert [trial.number for trial in below.trace] == [0, 1, 2]
    assert tuner.views[0].space == below.settings_space


def test_a_discarded_change_is_rolled_back() -> None:
    class Never(Always):
        def accept(self, view: View, trial: Trial) -> bool:
            return False

    inner, outer, _ = nested()
    outer._acceptance = Never()
    outer.run()
    assert inner.settings == {"guidance": ""}
    assert [str(trial.decision) for trial in outer.trace] == ["keep", "discard", "discard"]


def test_three_levels_run_and_resume_to_the_same_journal(tmp_path: Path) -> None:
    def run(path: Path) -> None:
        with Journal(path) as journal:
            _, outer, _ = nested(journal)
            top = Loop(
                task=Segment(outer, 2),
                proposer=Listed({}),
                acceptance=Always(),
                level=3,
                journal=journal,
            )
            top.run()
            assert top.done

    run(tmp_path / "a.jsonl")
    whole = (tmp_path / "a.jsonl").read_bytes()
    expected = projection(read(tmp_path / "a.jsonl"))
    for cut in range(0, len(whole), 97):
        (tmp_path / "b.jsonl").write_bytes(whole[:cut])
        run(tmp_path / "b.jsonl")
        assert projection(read(tmp_path / "b.jsonl")) == expected


class Sessions:
    """Notes after how many trials of the task it is asked."""

    settings = NO_SETTINGS

    def __init__(self) -> None:
        self.after: list[int] = []

    def propose(self, view: View, brief: Brief) -> list[Proposal]:
        self.after.append(len(view.innermost.trace) - 1)
        return [Proposal({}, origin="inventor")]


def trials_of(arm: str) -> tuple[list[int], list[int]]:
    """After how many of 30 trials levels 2 and 1.5 are asked in this arm."""
    with initialize_config_dir(str(CONF), version_base=None):
        spec = plain(compose("config", ["task=trap", f"arm={arm}"]))["outer"]["levels"]
    loops = [loop({"X": 1.0}, trials=30)]
    asked: dict[str, Sessions] = {}
    for name, level in spec.items():
        asked[name] = Sessions()
        below = Segment(loops[-1], level["every"])
        loops.append(
            Loop(task=below, proposer=asked[name], acceptance=Always(), level=level["level"])
        )
    loops[-1].run()
    assert len(loops[0].trace) == 31
    return asked["inventor"].after, asked["tuner"].after if "tuner" in asked else []


def test_level_2_has_its_sessions_after_ten_and_twenty_of_thirty_trials() -> None:
    """The paper's cadence, alone and above level 1.5, where it counts segments of five."""
    assert trials_of("level2") == ([10, 20], [])
    assert trials_of("bilevel") == ([10, 20], [5, 10, 15, 20, 25])
