"""Where the files of a run go: straight into its folder on this machine, else sent there."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bilevel.tracking.location import local_folder


class Artifacts:
    """The artifacts of runs; `client` is the `MlflowClient` of their store."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._places: dict[str, str] = {}

    def belong(self, run_id: str, place: str) -> None:
        """Records where the artifacts of a new run go, which saves a request for its address."""
        self._places[run_id] = place

    def texts(self, run_id: str, files: Mapping[str, str]) -> None:
        """Writes text artifacts (path -> text); one request for all of them where they are sent."""
        folder = self._folder(run_id)
        if folder is not None:
            _fill(folder, files)
            return
        with tempfile.TemporaryDirectory() as sent:
            _fill(Path(sent), files)
            self._client.log_artifacts(run_id, sent)

    def copy(self, run_id: str, path: Path) -> None:
        folder = self._folder(run_id)
        if folder is None:
            self._client.log_artifact(run_id, str(path))
            return
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)

    def read(self, run_id: str, path: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            place = self._client.download_artifacts(run_id, path, folder)
            return Path(place).read_text(encoding="utf-8")

    def _folder(self, run_id: str) -> Path | None:
        if run_id not in self._places:
            self._places[run_id] = self._client.get_run(run_id).info.artifact_uri
        return local_folder(self._places[run_id])


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    for below in {Path(name).parent for name in files}:
        (folder / below).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
