"""Shows a search while it runs: a bar on a terminal, a line a trial elsewhere."""

import sys
from typing import Never, TextIO

from tqdm import tqdm

from bilevel import visible
from bilevel.loop.loop import Loop
from bilevel.trace import Trial

_MOVES_SHOWN = 3
_OUTER_CHARS = 160  # of what a level above says


class Progress:
    """An observer of every level that shows progress; `position` is the terminal line of its bar
    among those of parallel searches."""

    def __init__(self, title: str, trials: int, position: int = 0) -> None:
        self._title = title
        self._trials = trials
        self._stream: TextIO = sys.stderr
        self._bar: tqdm[Never] | None = None
        if self._stream.isatty():
            self._bar = tqdm(
                total=trials,
                desc=title,
                position=position,
                unit="trial",
                dynamic_ncols=True,
                leave=False,  # the search's summary takes its place
                bar_format="{desc:<20} {bar:20} {n_fmt}/{total_fmt} [{elapsed}]{postfix}",
            )

    def __call__(self, loop: Loop, trial: Trial) -> None:
        if loop.level > 1:
            if trial.number:
                self._say(_above(trial))
            return
        status = self._status(loop, trial)
        if self._bar is None:
            self._say(f"{trial.number}/{self._trials}  {status}")
            return
        self._bar.set_postfix_str(visible.line(status), refresh=False)
        self._bar.update(0 if trial.number == 0 else 1)

    def _say(self, line: str) -> None:
        tqdm.write(f"{self._title}  {visible.line(line)}", file=self._stream)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            # another search's bar may have left the cursor in the middle of a line
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _status(self, loop: Loop, trial: Trial) -> str:
        moves = ", ".join(sorted(f"{name} {way}" for name, way in trial.moves)) or (
            "no change" if trial.retest_of is None else f"re-test of {trial.retest_of}"
        )
        if len(trial.moves) > _MOVES_SHOWN:
            moves = f"{len(trial.moves)} changes"
        failure = trial.outcome.failure
        value = f"{trial.value:.4f}" if trial.value is not None else str(failure and failure.kind)
        told = f"{moves if trial.number else 'baseline'}: {value} {trial.decision}"
        best, first = loop.best, loop.trace[0].value
        if best is None or best.value is None or first is None:
            return told
        return f"{told} | best {best.value:.4f} ({best.value - first:+.4f})"


def _above(trial: Trial) -> str:
    """Returns the line for a trial of an outer level, dated by the first trial of its segment."""
    proposal, first = trial.proposal, trial.outcome.metrics.get("first_trial")
    at = "" if first is None else f", before trial {first:.0f}"
    return f"{proposal.origin}{at}: {proposal.hypothesis[:_OUTER_CHARS]}"
