"""Files lie where MLflow looks for them, whether they were written there or sent."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bilevel.tracking.artifacts import Artifacts

FILES = {"trial.json": "{}", "calls/01.md": "gr\u00f6\u00dfer", "calls/02.md": ""}


class Client:
    """Takes files for a run whose artifacts are elsewhere."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.requests: list[str] = []
        self.sent: dict[str, str] = {}

    def get_run(self, run_id: str) -> SimpleNamespace:
        self.requests.append("get_run")
        return SimpleNamespace(info=SimpleNamespace(artifact_uri=self.place))

    def log_artifacts(self, run_id: str, folder: str) -> None:
        self.requests.append("log_artifacts")
        self.sent |= {
            str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in Path(folder).rglob("*")
            if path.is_file()
        }

    def log_artifact(self, run_id: str, path: str) -> None:
        self.requests.append("log_artifact")
        self.sent[Path(path).name] = Path(path).read_text(encoding="utf-8")


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    path.write_text("{}\n")
    return path


def test_a_folder_of_this_machine_is_written_without_a_request(
    tmp_path: Path, journal: Path
) -> None:
    client = Client("")
    artifacts = Artifacts(client)
    artifacts.belong("a", str(tmp_path / "run"))
    artifacts.texts("a", FILES)
    artifacts.copy("a", journal)
    assert _files(tmp_path / "run") == FILES | {"journal.jsonl": "{}\n"}
    assert client.requests == []


def test_what_belongs_elsewhere_is_sent(journal: Path) -> None:
    client = Client("mlflow-artifacts:/1/a/artifacts")
    artifacts = Artifacts(client)
    artifacts.texts("a", FILES)
    artifacts.copy("a", journal)
    assert client.sent == FILES | {"journal.jsonl": "{}\n"}
    assert client.requests == ["get_run", "log_artifacts", "log_artifact"]  # its place: once
