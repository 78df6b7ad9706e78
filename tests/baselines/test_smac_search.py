"""SMAC: what is said without it, what it is told, and that nothing of a process shows in it."""

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.smac_search import SmacSearch
from bilevel.errors import ConfigError
from bilevel.parameters import Choice, Text
from bilevel.space import SearchSpace, canonical
from bilevel.view import Brief
from tests.baselines.support import proposer
from tests.helpers import SPACE, Parabola, loop
from tests.mechanisms.support import trial, view

OPTIONS: dict[str, Any] = {"initial": 3, "retrain_after": 1, "at_random": 0.2}
needs_smac = pytest.mark.skipif(
    importlib.util.find_spec("smac") is None, reason="needs the extra smac"
)


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"arm=smac needs SMAC: .*pip install -e '\.\[smac\]'"):
        proposer("smac", SPACE)


@needs_smac
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"initial": 0}, "initial=0, retrain_after=1: expected at least 1 of each"),
        ({"retrain_after": 0}, "initial=3, retrain_after=0: expected"),
        ({"at_random": 20}, r"at_random=20: expected a share in \[0, 1\]"),
        ({"failures": "worst"}, "failures='worst': expected far or near"),
    ],
)
def test_settings_that_are_none_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SmacSearch(SPACE, **{**OPTIONS, **options})


@needs_smac
def test_parameters_that_it_cannot_search_are_refused_before_the_search() -> None:
    with pytest.raises(ConfigError, match="NOTE is a Text"):
        SmacSearch(SearchSpace((*SPACE.parameters, Text("NOTE", 10))), **OPTIONS)


@needs_smac
def test_it_is_quiet_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.DEBUG):
        loop(task=Parabola(), proposer=SmacSearch(SPACE, **OPTIONS), trials=5).run()
    assert [record for record in caplog.records if record.name.startswith("smac")] == []
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@needs_smac
def test_the_baseline_and_somebody_else_s_trials_are_told() -> None:
    from smac.runhistory.enumerations import StatusType

    made = SmacSearch(SPACE, **OPTIONS)
    foreign = loop({"X": 4.0}, {"X": 3.0}, {"MODE": "crash"})
    foreign.run()
    made.propose(foreign.view(), Brief())
    history = made._smac.runhistory
    known = {run.cost: key for key, run in history.items() if run.status == StatusType.SUCCESS}
    assert sorted(known) == [15.0, 22.0, 31.0, 341.0]  # 31 + 10 x 31: the crash
    configs = [history.get_config(key.config_id) for key in known.values()]
    assert sorted(config["X"] for config in configs) == [3.0, 3.0, 4.0, 5.0]


@needs_smac
def test_a_space_that_is_used_up_is_said() -> None:
    space = SearchSpace((Choice("A", (1, 2), 1), Choice("B", ("x", "y"), "x")))
    made, trials = SmacSearch(space, **OPTIONS), [trial(space, 0, {}, 1.0, kept=True)]
    for number in range(1, 7):
        at = view(trials, space=space)
        asked = made.propose(at, Brief())[0]
        trials.append(trial(space, number, asked.changes, 1.0 + number))
    assert len({canonical(dict(t.config)) for t in trials}) == 4
    assert trials[-1].proposal.changes == {}
    assert asked.hypothesis == "every configuration that SMAC finds has been tried"


@needs_smac
@pytest.mark.slow
def test_the_order_of_a_process_s_hashes_shows_nowhere() -> None:
    """SMAC's own local search starts in the order of a set of texts."""
    script = (
        "from tests.baselines.test_smac_search import *\n"
        "ran = loop(task=Parabola(), proposer=SmacSearch(SPACE, **OPTIONS), trials=8, seed=1)\n"
        "ran.run()\n"
        "print([canonical(dict(t.config)) for t in ran.trace])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
