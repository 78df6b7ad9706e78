"""What of a search is a tag, and that a text too long for a param is a file that can be read."""

import json

from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tracking import TrialRecord
from bilevel.tracking.content import search_tags, trial_files, trial_metrics, trial_params
from tests.mechanisms.support import trial
from tests.report.inventions import SOURCE, screened
from tests.tracking.studies import OBJECTIVE, info

SCRIPT = "".join(f"x{n} = {n}\n" for n in range(1000))
SPACE = SearchSpace((Text("train.py", 60_000, SCRIPT), Text("note", 100, "short")))


def test_a_script_is_a_file_and_its_param_a_digest() -> None:
    changed = SCRIPT + "y = 1\n"
    record = TrialRecord(
        level=1,
        trial=trial(SPACE, 1, {"train.py": changed}, 1.0),
        baseline=1.0,
        best=1.0,
        calls=[],
        totals={},
        hooks=[],
    )
    files = trial_files(record)
    assert files["train.py"] == changed
    assert "note" not in files
    params = trial_params(record.trial)
    assert params["note"] == "short"
    assert params["train.py"].startswith("sha256 ")
    assert params["train.py"].endswith(f", {len(changed)} characters")


def test_what_a_report_compares_by_is_with_the_search_if_it_is_known() -> None:
    settings = {"budget_s": 5, "text": None}
    tags = search_tags(
        info(model="gpt at 0.7", task_settings=settings, dependent_seeds="a=b", role="{}")
    )
    assert tags["model"] == "gpt at 0.7"
    assert tags["task_settings"] == '{"budget_s":5,"text":null}'
    assert (tags["dependent_seeds"], tags["role"]) == ("a=b", "{}")
    assert not {"model", "task_settings", "dependent_seeds", "role"} & search_tags(info()).keys()


def test_every_candidate_of_a_session_is_there_with_its_text_and_its_score() -> None:
    record = screened()
    files = trial_files(record)
    assert files["candidates/2_second/attempts/02.py"] == f"{SOURCE}# second\n"
    assert files["candidates/2_second/attempts/01.txt"].startswith("REFUSED lint: os may not")
    said = {n: json.loads(files[f"candidates/{n}/score.json"]) for n in ("1_annealing", "3_third")}
    assert said["1_annealing"]["chosen"]
    assert said["1_annealing"]["score"]["by_task"] == {"a": 0.15, "b": 0.35}
    assert said["3_third"] == {"chosen": False, "score": None}
    metrics = trial_metrics(record, OBJECTIVE)
    assert (metrics["candidates"], metrics["candidates_scored"]) == (3, 2)
    found = {name: v for name, v in metrics.items() if name.startswith("screening/2_second/")}
    assert found == {
        "screening/2_second/gain": -0.125,
        **{f"screening/2_second/{n}": 0.0 for n in ("taken", "hook_errors", "over_hook_limit")},
    }
