"""The command `python -m bilevel`: composes what the overrides say, runs it, sets the exit code.

Exit codes: 0 done, 1 failed, 2 bad input, 3 a cap reached with results kept (calls, tokens, money,
or trials in a row without a usable reply), 130 stopped by Ctrl-C, 143 by SIGTERM. A sweep ends with
the gravest of its searches' codes (1 before 2 before 3 before 143), and tells every one that did
not end well.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bilevel.commands import COMMANDS
from bilevel.config.command_line import check_machine
from bilevel.config.files import CONF
from bilevel.errors import BadInput, BilevelError, ConfigError
from bilevel.search import sweep_notes as notes
from bilevel.visible import visible
from bilevel.workers.stopping import EXIT_CODE as STOPPED
from bilevel.workers.stopping import Stopped, stoppable

if TYPE_CHECKING:
    from omegaconf import DictConfig

_FULL_ERROR = "HYDRA_FULL_ERROR"  # set to 1 by a user: show tracebacks
_VERBOSE = "BILEVEL_FULL_ERROR"  # the same, for the searches of this command
_GRAVITY = (1, 2, 3, STOPPED)

_CONTINUES = "stopped; the same command continues from here"

USAGE = """\
python -m bilevel study=NAME arm=ARM task=TASK llm=LLM seed=N search.trials=N   one search
python -m bilevel -m study=NAME arm=level1,level1_5 seed=1,2,3                  every combination
python -m bilevel -m ... hydra/launcher=joblib hydra.launcher.n_jobs=2          two at a time
python -m bilevel ... dry_run=true                                              only what it costs
python -m bilevel ... --cfg job                                                 every setting
python -m bilevel report study=NAME                                             tables and a page
python -m bilevel COMMAND --help       the other commands: {commands}

The same command continues a search that was stopped.
Exit codes: 0 done, 1 failed, 2 bad input, 3 a cap reached with results kept (calls, tokens, money,
or trials in a row without a usable reply), 130 stopped by Ctrl-C, 143 by SIGTERM.
"""


def help_text() -> str:
    """Returns the help: the groups with their choices in conf/, and the commented top-level
    settings."""
    others = " ".join(name for name in COMMANDS if name != "run")
    lines = [USAGE.format(commands=others), "Groups (choose with group=choice):"]
    for group in sorted(folder for folder in CONF.iterdir() if folder.is_dir()):
        choices = ", ".join(sorted(file.stem for file in group.glob("*.yaml")))
        plus = "+" if group.name == "experiment" else ""
        lines.append(f"  {plus + group.name:<12} {choices}")
    settings = (CONF / "config.yaml").read_text().partition("study:")
    own = (settings[1] + settings[2]).partition("\nhydra:")[0]
    lines += [
        "",
        "Top-level settings and their defaults:",
        *(f"  {line}" for line in own.splitlines()),
    ]
    return "\n".join(lines)


def job(config: "DictConfig") -> None:
    """Runs one search, in this process or in that of a launcher, and reports its failure by its
    name."""
    from hydra.core.hydra_config import HydraConfig

    from bilevel.config import arm_names as arms
    from bilevel.config.overrides import REPORTED, reported_as
    from bilevel.search.run import run
    from bilevel.workers.server import die_with_parent

    arms.check_mode(HydraConfig.get())
    launcher = multiprocessing.parent_process()
    if launcher is not None and launcher.pid is not None:
        die_with_parent(launcher.pid)  # a sweep that is killed leaves no search running
    search = _search(config)
    try:
        with stoppable():
            config = arms.bound(config, HydraConfig.get())
            search = _search(config)
            planned = run(config)
        if planned is not None:
            notes.write_plan(planned)
    except Stopped:
        if not notes.is_collected() or (launcher is None and not notes.has_own_log()):
            raise
        notes.write_exit_code(STOPPED, f"{search} {_CONTINUES}")
    except REPORTED as error:
        failure = reported_as(error)
        if _VERBOSE in os.environ or not notes.is_collected():
            raise failure from error
        notes.write_exit_code(failure.exit_code, _line(failure, search))


def _search(config: "DictConfig") -> str:
    return f"study={config.study} arm={config.arm} seed={config.seed}"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(given):
        print(help_text())
        return 0
    try:
        check_machine()
    except BadInput as error:
        print(visible(_line(error)), file=sys.stderr)
        return error.exit_code
    with notes.folder(given) as place:
        return _run(given, place)


def _run(given: Sequence[str], place: str) -> int:
    """Lets Hydra compose and run what was given; `place` is the folder of the searches' notes."""
    import hydra

    if os.environ.get(_FULL_ERROR) == "1":
        os.environ[_VERBOSE] = "1"
    os.environ[_FULL_ERROR] = "1"  # errors come back here instead of being printed by Hydra
    os.environ[notes.PLACE] = place
    sys.argv = [sys.argv[0], *given, *_aside(given, place)]
    decorated = hydra.main(version_base=None, config_path=str(CONF), config_name="config")(job)
    try:
        decorated()
    except KeyboardInterrupt as stop:
        print(f"\n{_CONTINUES}", file=sys.stderr)
        return STOPPED if isinstance(stop, Stopped) else 130
    except Exception as error:
        failure = _failure(error, given)
        if failure is None or (failure is error and _VERBOSE in os.environ):
            raise
        print(visible(_line(failure)), file=sys.stderr)
        return failure.exit_code
    plans = notes.read_plans(place)
    if len(plans) > 1:
        from bilevel.search.dry_run import together

        print(together(plans))
    left = notes.read_exit_codes(place)
    return next((code for code in _GRAVITY if code in left), 0)


def _aside(given: Sequence[str], place: str) -> list[str]:
    """Returns the override that puts what Hydra writes of a dry run beside the notes, which are
    deleted."""
    if "dry_run=true" not in given or any(one.startswith("hydra.sweep.dir=") for one in given):
        return []
    quoted = place.replace("'", "\\'")
    return [f"hydra.sweep.dir='{quoted}'"]


def _failure(error: Exception, given: Sequence[str]) -> BilevelError | None:
    """Returns the error to report for an exception that ended the command; None for an unexpected
    one."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from bilevel.config.overrides import explain

    if isinstance(error, BilevelError):
        return error
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error, CONF, given)
    if isinstance(error, ValueError) and "Config group override" in str(error):
        return ConfigError(str(error))  # Hydra's own word for group=null
    if type(error).__module__.startswith("submitit."):
        return BilevelError(_lost(error))
    return None


def _lost(error: Exception) -> str:
    """Returns one line on a job that its scheduler lost."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        f"a job of the sweep did not come back ({(lines or [type(error).__name__])[0]}); the "
        "others go on, and the same command continues what is left"
    )


def _line(error: BilevelError, search: str = "") -> str:
    label = "bad input" if isinstance(error, BadInput) else "stopped"
    return f"{label}: {f'{search}: ' if search else ''}{error}"
