"""Where the tracking store is, whether it can be reached, and how to look at it."""

import hashlib
import shlex
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from bilevel.errors import TrackingError

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
REMEDY = "choose another store with tracking.uri=... or run without one: tracking=none"
_UI_ADDRESS = "http://127.0.0.1:5000"
VIEW_KEY = "searches"  # the name under which the searches' view is stored with the experiment
_PROBE_S = 5.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def resolve(uri: str, folder: Path | None = None) -> str:
    """Return the URI with a relative sqlite path made absolute; the path is not quoted
    (`address` does that). Raises TrackingError for a file store."""
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme == "sqlite":
        path = uri.split("///", 1)[-1]
        if not path or path == ":memory:" or "///" not in uri:
            raise TrackingError(f"tracking.uri={uri} names no file: expected sqlite:///PATH.db")
        return f"sqlite:///{((folder or Path.cwd()) / path).resolve()}"
    if scheme in ("http", "https", "databricks", *_PORTS):
        return uri.rstrip("/")
    raise TrackingError(
        f"tracking.uri={shown(uri)} is not a store that can be used: expected sqlite:///PATH.db, "
        "http(s)://HOST:PORT or postgresql://..."
    )


def local_path(uri: str) -> Path | None:
    """Return the database file of a resolved sqlite URI; None for other URIs."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:") else None


def address(uri: str) -> str:
    """Return a resolved URI for MLflow and SQLAlchemy, with `?` and `%` in its path quoted."""
    path = local_path(uri)
    quoted = str(path).replace("%", "%25").replace("?", "%3F")
    if path is None or quoted == str(path):
        return uri
    # with the driver's name MLflow does not make a folder for the path as it is written
    return f"sqlite+pysqlite:///{quoted}"


def artifacts_root(uri: str, configured: str | None = None) -> str | None:
    """Return where artifacts go: beside a sqlite file, under mlruns for another database; None
    for a tracking server, which decides for itself."""
    if configured is not None:
        return configured if "://" in configured else _place(Path(configured).resolve())
    path = local_path(uri)
    if path is not None:
        return _place(path.parent / "artifacts")
    if uri.startswith(("http", "databricks")):
        return None
    return _place(Path("mlruns/artifacts").resolve())


def _place(folder: Path) -> str:
    """Return a folder as MLflow's artifact location: MLflow reads a path as a URI where it can."""
    return folder.as_uri() if set(str(folder)) & set("%?#") else str(folder)


def local_folder(place: str) -> Path | None:
    """Return the local folder of an MLflow artifact location; None if it is on another machine
    or service."""
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(place)


def study_folder(study: str) -> str:
    """A folder name for a study: readable, and different for different studies."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in study).strip(".")
    same = plain == study
    return plain if same else f"{plain}-{hashlib.sha256(study.encode()).hexdigest()[:8]}"


def shown(uri: str) -> str:
    """Return the URI without its password, for printing."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    host = f"{parts.username}:***@{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return urlunsplit(parts._replace(netloc=host))


def reach(uri: str) -> None:
    """Checks that the store can be reached. Raises TrackingError at once if nobody answers;
    clients would retry for minutes."""
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    try:
        if scheme in ("http", "https"):
            host = parts.netloc.rpartition("@")[2]
            with urllib.request.urlopen(f"{scheme}://{host}{parts.path}/health", timeout=_PROBE_S):
                pass
        elif scheme in _PORTS and parts.hostname:
            address = (parts.hostname, parts.port or _PORTS[scheme])
            socket.create_connection(address, timeout=_PROBE_S).close()
    except urllib.error.HTTPError:
        return  # somebody answers; what they allow is found out on the first request
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"the tracking store {shown(uri)} does not answer ({reason}); start it, or {REMEDY}"
        ) from None


def ui_command(uri: str) -> str:
    """Return the shell command that serves the store's web page; a tracking server needs none."""
    uri = resolve(uri)
    if uri.startswith("http"):
        return f"open {uri}"
    return (
        f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {_python()} -m mlflow ui "
        f"--backend-store-uri {shlex.quote(shown(address(uri)))} --workers 1"
    )


def restore_command(uri: str, experiment_id: str) -> str:
    """Return the shell command that restores a deleted experiment."""
    store = shlex.quote(shown(address(uri)))
    return (
        f"MLFLOW_TRACKING_URI={store} {_python()} -m mlflow experiments restore -x {experiment_id}"
    )


def _python() -> str:
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.quote(str(here))


def deep_link(uri: str, experiment_id: str, address: str = _UI_ADDRESS) -> str:
    """Return the link to the page of a study's searches: filtered, grouped by arm, as charts.

    What to filter, group and draw is stored with the experiment (`view.py`); without the `/runs`
    part an experiment that has traces opens on another tab.
    """
    base = uri.rstrip("/") if uri.startswith("http") else address
    query = f"viewStateShareKey={VIEW_KEY}&compareRunsMode=CHART"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"


def run_link(uri: str, experiment_id: str, run_id: str, address: str = _UI_ADDRESS) -> str:
    """Return the link to a run's artifacts."""
    base = uri.rstrip("/") if uri.startswith("http") else address
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}/artifacts"
