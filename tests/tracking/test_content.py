"""What of a search is a tag, and that a text too long for a param is a file that can be read."""

from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tracking import TrialRecord
from bilevel.tracking.content import search_tags, trial_files, trial_params
from tests.mechanisms.support import trial
from tests.tracking.studies import info

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
