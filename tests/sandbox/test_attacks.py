"""Every promise of the sandbox is attacked; without the wall every attack gets through."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.attacks import ATTACKS, tried
from tests.sandbox.conftest import ORDINARY_USER, Prey

ROOT = Path(__file__).parents[2]


def test_no_attack_gets_through(layer: str, prey: Prey) -> None:
    results = tried(layer, prey.secret, prey.port, prey.host)
    assert results.keys() == ATTACKS.keys()
    assert {n: r for n, r in results.items() if not r.startswith("stopped")} == {}
    assert Path(prey.secret).read_text() == "the key"
    assert Path(f"{prey.secret}.twin").exists()


def test_every_attack_gets_through_without_the_wall(prey: Prey) -> None:
    results = attacked_by(sys.executable, "none", prey, prey.host)
    assert {n: r for n, r in results.items() if not r.startswith("REACHED")} == {}


def attacked_by(python: str, layer: str, prey: Prey, host: int, **whose: Any) -> dict[str, str]:
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    ran = subprocess.run(
        [python, "-m", "tests.sandbox.attacks", layer, prey.secret, str(prey.port), str(host)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join([str(ROOT), *libraries])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **whose,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    results: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return results


def ordinary_python() -> str:
    """An interpreter that an ordinary user may run, of this version."""
    if os.getuid() != 0:
        pytest.skip("only an administrator can become somebody else")
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        wanted = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}"
        try:
            subprocess.run([python or "", "-c", wanted], check=True, user=ORDINARY_USER)
        except (OSError, subprocess.SubprocessError):
            continue
        return python or ""
    pytest.skip("no interpreter of this version that another user may run")


def test_an_ordinary_user_is_as_safe(layer: str, prey: Prey) -> None:
    python = ordinary_python()
    os.chown(prey.secret, ORDINARY_USER, ORDINARY_USER)
    user: dict[str, Any] = {"user": ORDINARY_USER, "group": ORDINARY_USER, "extra_groups": []}
    results = attacked_by(python, layer, prey, 0, **user)
    if "unavailable" in results:
        pytest.skip(f"{layer} is not there for an ordinary user: {results['unavailable']}")
    assert {n: r for n, r in results.items() if not r.startswith("stopped")} == {}
