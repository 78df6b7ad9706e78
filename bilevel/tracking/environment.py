"""What a search ran on, without a secret in it: versions, processor and this project's commit."""

import json
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=1)
def environment_json() -> str:
    """Return Python, platform, processor, this project's commit and every installed package, as
    JSON."""
    packages = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return json.dumps(
        {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "cpu": _cpu(),
            **commit(SOURCE),
            "packages": dict(sorted(packages.items(), key=lambda item: str(item[0]).lower())),
        },
        indent=2,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit(source: Path) -> dict[str, str | bool]:
    """Return the commit of a source tree and whether it was edited since; empty where the tree
    merely lies inside another repository, as an installed package may."""
    top = _git(source, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != source.resolve():
        return {"git_commit": "", "git_dirty": False}
    edited = _git(source, "status", "--porcelain", "--untracked-files=no")
    return {"git_commit": _git(source, "rev-parse", "HEAD"), "git_dirty": bool(edited)}


def _git(folder: Path, *arguments: str) -> str:
    """Return git's output for this folder; empty where there is no git or no commit."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(
            asked, env=plain, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
