"""The command `python -m bilevel`: composes what the overrides say, runs it, sets the exit code.

Exit codes: 0 done, 1 failed, 2 bad input, 3 budget exhausted with results kept. A sweep ends with
the gravest of its searches' codes (1 before 2 before 3), and tells every one that did not end well.
"""

import multiprocessing
import os
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bilevel.errors import BadInput, BilevelError, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = Path(__file__).resolve().parent.parent / "conf"
FULL_ERROR = "HYDRA_FULL_ERROR"  # set to 1 by a user: show tracebacks
VERBOSE = "BILEVEL_FULL_ERROR"  # the same, for the searches of this command
CODES = "BILEVEL_EXIT_CODES"  # names the folder in which the searches of a command leave theirs
GRAVITY = (1, 2, 3)

USAGE = """\
python -m bilevel study=NAME arm=ARM task=TASK llm=LLM seed=N search.trials=N   one search
python -m bilevel -m study=NAME arm=level1,level1_5 seed=1,2,3                  every combination
python -m bilevel -m ... hydra/launcher=joblib hydra.launcher.n_jobs=2          two at a time
python -m bilevel ... dry_run=true                                              only what it costs
python -m bilevel.report study=NAME                                             tables and a page

The same command continues a search that was stopped. --cfg job shows the whole configuration.
Exit codes: 0 done, 1 failed, 2 bad input, 3 budget exhausted with results kept.
"""


def help_text() -> str:
    """The groups and their choices as they lie in conf/, and the commented top-level settings."""
    lines = [USAGE, "Groups (choose with group=choice):"]
    for group in sorted(folder for folder in CONF.iterdir() if folder.is_dir()):
        choices = ", ".join(sorted(file.stem for file in group.glob("*.yaml")))
        plus = "+" if group.name == "experiment" else ""
        lines.append(f"  {plus + group.name:<12} {choices}")
    settings = (CONF / "config.yaml").read_text().partition("study:")
    own = (settings[1] + settings[2]).partition("\nhydra:")[0]
    lines += ["", "Settings and their defaults:", *(f"  {line}" for line in own.splitlines())]
    return "\n".join(lines)


def job(config: "DictConfig") -> None:
    """One search, in this process or in a launcher's; how it failed is told here, by name."""
    from bilevel.overrides import TOLD, told_by
    from bilevel.run import run
    from bilevel.workers.server import die_with_parent

    launcher = multiprocessing.parent_process()
    if launcher is not None and launcher.pid is not None:
        die_with_parent(launcher.pid)  # a sweep that is killed leaves no search running
    codes = os.environ.get(CODES)
    try:
        run(config)
    except TOLD as error:
        failure = told_by(error)
        if VERBOSE in os.environ or codes is None or not Path(codes).is_dir():
            raise failure from error
        search = f"study={config.study} arm={config.arm} seed={config.seed}"
        _tell(failure, search)
        (Path(codes) / uuid.uuid4().hex).write_text(str(failure.exit_code))


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(given):
        print(help_text())
        return 0
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from bilevel.overrides import explain

    if os.environ.get(FULL_ERROR) == "1":
        os.environ[VERBOSE] = "1"
    os.environ[FULL_ERROR] = "1"  # errors come back here instead of being printed by Hydra
    sys.argv = [sys.argv[0], *given]
    decorated = hydra.main(version_base=None, config_path=str(CONF), config_name="config")(job)
    with tempfile.TemporaryDirectory(prefix="bilevel-") as codes:
        os.environ[CODES] = codes
        try:
            decorated()
        except BilevelError as error:
            if VERBOSE in os.environ:
                raise
            _tell(error)
            return error.exit_code
        except (HydraException, OmegaConfBaseException) as error:
            failure = explain(error, CONF, given)
            _tell(failure)
            return failure.exit_code
        except ValueError as error:
            if "Config group override" not in str(error):  # Hydra's own word for group=null
                raise
            _tell(ConfigError(str(error)))
            return ConfigError.exit_code
        except KeyboardInterrupt:
            print("\nstopped; the same command continues from here", file=sys.stderr)
            return 130
        left = {int(note.read_text()) for note in Path(codes).iterdir()}
    return next((code for code in GRAVITY if code in left), 0)


def _tell(error: BilevelError, search: str = "") -> None:
    label = "bad input" if isinstance(error, BadInput) else "stopped"
    print(f"{label}: {f'{search}: ' if search else ''}{error}", file=sys.stderr)
