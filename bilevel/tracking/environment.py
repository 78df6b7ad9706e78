"""What a search ran on, without a secret in it: versions, processor and commit."""

import json
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path


@lru_cache(maxsize=1)
def environment_json() -> str:
    """Python, platform, processor, git commit and every installed package with its version."""
    packages = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return json.dumps(
        {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "cpu": _cpu(),
            "git_commit": _git("rev-parse", "HEAD"),
            "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
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


def _git(*arguments: str) -> str:
    """What git answers, or nothing where there is no git or no commit."""
    try:
        answer = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
