"""Which Python a command runs, and the versions there of what a script's numbers come from."""

import ast
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bilevel.errors import TaskError
from bilevel.tasks import constants

_log = logging.getLogger(__name__)
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_PROBE_S = 60.0
# What computes is compared wherever it is installed, whoever imports it.
_NUMERICS = ("torch", "numpy", "scipy", "scikit-learn", "jax", "jaxlib", "tensorflow", "triton")
_PROBE = """
import json, platform, sys
from importlib import metadata
imported, always = json.loads(sys.argv[1])
named = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "PyYAML"}
found, unknown = {"python": platform.python_version()}, set()
def add(distribution):
    try:
        found[distribution] = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
for name in always:
    add(name)
for name in imported:
    if not add(named.get(name, name)):
        unknown.add(name)
unknown -= set(getattr(sys, "stdlib_module_names", ()))
if unknown and hasattr(metadata, "packages_distributions"):
    having = metadata.packages_distributions()
    for name in unknown:
        for distribution in having.get(name, ()):
            add(distribution)
print(json.dumps(found))
"""


def run_by(argv: Sequence[str], script: str, source: str, path: str | None) -> str | None:
    """Return the Python that a command runs its script with: a word of the command, or the
    interpreter in the first line of its program or of the script; None where there is none of
    these."""
    for word in argv:
        if _PYTHON.fullmatch(Path(word).name):
            return shutil.which(word, path=path)
    if Path(argv[0]).name == script:
        return _of_first_line(source.partition("\n")[0], path)
    program = shutil.which(argv[0], path=path)
    if program is None:
        return None
    with Path(program).open("rb") as file:
        return _of_first_line(file.readline(1000).decode("utf-8", errors="replace"), path)


def _of_first_line(line: str, path: str | None) -> str | None:
    words = line[2:].split() if line.startswith("#!") else []
    named = [word for word in words if _PYTHON.fullmatch(Path(word).name)]
    return shutil.which(named[0], path=path) if named else None


def imports(sources: Iterable[str]) -> list[str]:
    """Return the top-level modules that these sources import; invalid Python imports none."""
    found: set[str] = set()
    for source in sources:
        try:
            nodes = [*ast.walk(constants.parsed(source, "the script"))]
        except TaskError:
            continue
        found |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        found |= {
            node.module
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
        }
    return sorted({name.partition(".")[0] for name in found})


def versions(
    python: str, imported: Sequence[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the versions of this Python, of its packages among `imported`, and of numerical
    ones. Empty, with a warning, where it cannot be asked."""
    asked = [python, "-c", _PROBE, json.dumps([list(imported), _NUMERICS])]
    try:
        answer = subprocess.run(
            asked, env=dict(environment), cwd="/", capture_output=True, timeout=_PROBE_S, check=True
        )
        found: dict[str, str] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        _log.warning(
            "%s does not say which versions it has (%s); whether they change under this search "
            "will not be noticed",
            python,
            type(error).__name__,
        )
        return {}
    return found
