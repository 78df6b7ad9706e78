"""The command `python -m bilevel`: composes what the overrides say, runs it, sets the exit code.

Exit codes: 0 done, 1 failed, 2 bad input, 3 budget exhausted with results kept.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bilevel.errors import BadInput, BilevelError

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = Path(__file__).resolve().parent.parent / "conf"
PINNED = "HYDRA_FULL_ERROR"

USAGE = """\
python -m bilevel study=NAME arm=ARM task=TASK llm=LLM seed=N search.trials=N   one search
python -m bilevel -m study=NAME arm=level1,level1_5 seed=1,2,3                  every combination
python -m bilevel -m ... hydra/launcher=joblib hydra.launcher.n_jobs=2          two at a time
python -m bilevel ... dry_run=true                                              only what it costs
python -m bilevel.report study=NAME                                             table and plot

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
    """One search, in this process or in a launcher's."""
    import bilevel.run

    bilevel.run.run(config)


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(given):
        print(help_text())
        return 0
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    verbose = os.environ.get(PINNED) == "1"
    os.environ[PINNED] = "1"  # errors come back here instead of being printed by Hydra
    sys.argv = [sys.argv[0], *given]
    decorated = hydra.main(version_base=None, config_path=str(CONF), config_name="config")(job)
    try:
        decorated()
    except BilevelError as error:
        return _told(error, verbose)
    except (HydraException, OmegaConfBaseException) as error:
        from bilevel.overrides import explain

        return _told(explain(error, CONF, given), verbose)
    except KeyboardInterrupt:
        print("\nstopped; the same command continues from here", file=sys.stderr)
        return 130
    return 0


def _told(error: BilevelError, verbose: bool) -> int:
    if verbose:
        raise error
    label = "bad input" if isinstance(error, BadInput) else "stopped"
    print(f"{label}: {error}", file=sys.stderr)
    return error.exit_code
