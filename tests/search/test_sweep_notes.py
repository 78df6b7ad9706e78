import os
import tempfile
from pathlib import Path

import pytest

from bilevel.search import sweep_notes as notes
from bilevel.search.dry_run import plan
from tests.test_conf import composed


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(notes.PLACE, str(tmp_path))
    return str(tmp_path)


def test_what_is_left_is_read_again(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(composed("arm=tpe"))
    notes.write_plan(planned)
    notes.write_exit_code(2, "bad input: x")
    notes.write_exit_code(3, "stopped: y")
    assert capsys.readouterr().err == "bad input: x\nstopped: y\n"
    assert notes.read_plans(place) == [planned]
    assert notes.read_exit_codes(place) == {2, 3}
    assert capsys.readouterr().err == ""


def test_a_job_s_own_log_is_not_where_the_sweep_is_read(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as scheduled:
        scheduled.setenv("SUBMITIT_FOLDER", "jobs")
        notes.write_exit_code(1, "stopped: z")
    capsys.readouterr()
    assert notes.read_exit_codes(place) == {1}
    assert capsys.readouterr().err == "stopped: z\n"


def test_a_search_without_a_command_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(notes.PLACE, str(tmp_path / "gone"))
    assert not notes.is_collected()
    notes.write_exit_code(1, "stopped: z")
    monkeypatch.delenv(notes.PLACE)
    assert not notes.is_collected()


def test_a_sweep_s_folder_is_seen_by_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with notes.folder(["-m", "seed=1,2"]) as shared:
        assert Path(shared).parent == tmp_path
    with notes.folder(["seed=1"]) as own:
        assert Path(own).parent == Path(os.environ.get("TMPDIR", tempfile.gettempdir()))
    assert not list(tmp_path.iterdir())
