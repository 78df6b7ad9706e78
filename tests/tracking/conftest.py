"""A tracking database is migrated once a session; every test gets a copy of the file."""

import shutil
from pathlib import Path

import pytest

from bilevel.tracking import MlflowTracker

_migrated: list[Path] = []  # shared with the tests of the report, which import these fixtures


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not _migrated:
        path = tmp_path_factory.mktemp("migrated") / "mlflow.db"
        assert MlflowTracker(f"sqlite:///{path}").store.studies() == {}
        _migrated.append(path)
    return _migrated[0]


@pytest.fixture
def uri(migrated: Path, tmp_path: Path) -> str:
    """A tracking store of one's own."""
    path = tmp_path / "mlruns" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(migrated, path)
    return f"sqlite:///{path}"
