"""What a session of level 2 is told of the mechanisms that are attached and of earlier sessions."""

from collections.abc import Sequence

from bilevel.admission.hook_errors import blamed
from bilevel.invention import Candidate, Invention
from bilevel.trace import Trial
from bilevel.view import View


def taken(view: View, others: Sequence[Invention] = ()) -> list[str]:
    """Returns the names of mechanisms that are attached or were proposed before; `others` are those
    that this session has written already."""
    attached = [standing.name for standing in view.innermost.mechanisms()]
    tried = [one.name for one in (*_written(view), *others)]
    return list(dict.fromkeys(filter(None, [*attached, *tried])))


def attached(view: View) -> str:
    """Returns a line for each mechanism that was ever attached: its state, credit and calls."""
    sources = {made.name: made.source for made in _written(view)}
    lines = []
    for one in view.innermost.mechanisms():
        counts = ", ".join(f"{name} {count}" for name, count in one.counts.items())
        state = one.state if one.attached else f"{one.state}, detached"
        last = one.error and blamed(one.error, sources.get(one.name, ""))
        error = f"; at the last error it {last}" if last else ""
        lines.append(
            f"- {one.name}: {state}, since trial {one.since}; it caused {one.credit}; the proposer "
            f"meanwhile: {one.proposers}; calls: {counts or 'none'}{error}"
        )
    return "\n".join(lines) or "none"


def before(view: View, others: Sequence[Invention] = ()) -> str:
    """Returns a line for each earlier session: its summary and, if admitted, its verdict and gain;
    of one that screened several candidates, a line for each with its score. `others` follow."""
    lines = [line for trial in view.trace for line in _lines(trial)]
    lines += [
        f"- {one.name or 'nothing'}: {one.summary} (just now, no score yet)" for one in others
    ]
    return "\n".join(lines) or "none"


def _written(view: View) -> list[Invention]:
    made = [trial.proposal.mechanism for trial in view.trace]
    return [one for session in made if session for one in session.written]


def _lines(trial: Trial) -> list[str]:
    made = trial.proposal.mechanism
    if not made:
        return []
    became = f" ({_became(made, trial)})" if made.admitted else ""
    if made.screening is None:
        return [f"- {made.name or 'nothing'}: {made.summary}{became}"]
    lines = [
        f"- {one.made.name or 'nothing'}: {_screened(one)}{became if one.chosen else ''}"
        for one in made.screening.candidates
    ]
    judged = f"scored on {made.screening.judge}"
    said = f"{made.name} of these was the best and was attached"
    return [*lines, f"- These {len(lines)}, {judged}: {said if made.admitted else made.problem}"]


def _became(made: Invention, trial: Trial) -> str:
    passed = f"text {len(made.attempts)} passed every gate; {trial.decision}"
    gain = trial.outcome.metrics.get("mechanism_gain")
    if gain is not None:
        passed += f"; its rounds gained {gain:+.6f} each over those without it, by the coin"
    return passed


def _screened(one: Candidate) -> str:
    return one.made.summary if one.score is None else f"{one.made.summary} -> {one.score}"
