"""What of a trial or a mechanism goes where in MLflow: names, tags, params, metrics and files."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bilevel.invention import GateVerdict, Invention
from bilevel.journal import projection
from bilevel.parameters import Value
from bilevel.space import canonical
from bilevel.trace import Objective, Trial
from bilevel.tracking import screenings
from bilevel.tracking.keys import file_name, key, renamed
from bilevel.tracking.records import CallRecord, MechanismRecord, SearchInfo, TrialRecord
from bilevel.tracking.settings_tag import tag_text

VALUE = "value"  # the one name for comparing, whatever the task calls its metric
_BEST = f"best_{VALUE}"
FORMERLY = "val_bpb"  # that name in runs of earlier versions
DELTA = "delta"
_ACTING = ("decision", "prompt")  # effects of a hook call that changed something
STEP_MARK = "trial"  # logged with every step of a search: tells which steps are there
_TAG_CHARS = 500
_PARAM_CHARS = 6000
_NAME_CHARS = 80

_Metrics = dict[str, float]
_Tags = dict[str, str]


def common_tags(info: SearchInfo) -> _Tags:
    """The tags that every run of a search has."""
    tags = {
        "study": info.study,
        "arm": info.arm,
        "seed": str(info.seed),
        "llm": info.llm,
        "task": info.task,
    }
    return tags | ({"stand_in": "true"} if info.stand_in else {})


def search_tags(info: SearchInfo) -> _Tags:
    optional = {
        "model": _cut(info.model, _TAG_CHARS),
        "task_settings": tag_text(info.task_settings),
        "dependent_seeds": info.dependent_seeds,
        "prompts": info.prompts,
        "stand_in_version": info.stand_in_version,
        "noise_told": _cut(info.noise_told, _TAG_CHARS),
        "role": info.role,
    }
    return {
        **common_tags(info),
        "kind": "search",
        "search_id": info.search_id,
        "fingerprint": info.fingerprint,
        "superseded": "false",
        "metric": info.objective.metric,
        "direction": info.objective.direction,
        **renamed([info.objective.metric, f"best_{info.objective.metric}"]),
    } | {name: text for name, text in optional.items() if text}


def trial_name(record: TrialRecord) -> str:
    """`007 TOTAL_BATCH_SIZE up keep`: number, moves and decision."""
    trial = record.trial
    moves = ", ".join(f"{name} {direction}" for name, direction in sorted(trial.moves))
    what = moves or ("baseline" if trial.number == 0 else trial.proposal.origin or "no change")
    again = f" (= {trial.duplicate_of:03d})" if trial.duplicate_of is not None else ""
    above = "" if record.level == 1 else f"level {record.level:g} "
    return f"{above}{trial.number:03d} {_cut(what, _NAME_CHARS)} {trial.decision}{again}"


def spent_s(record: TrialRecord) -> float:
    """How long the trial took: its model calls and its evaluation."""
    asked_s = sum(call.seconds for call in record.calls)
    return asked_s + max(0.0, record.trial.outcome.clock.get("wall_s", 0.0))


def trial_tags(record: TrialRecord, objective: Objective) -> _Tags:
    """Return the tags of a trial's run. `moves` is a JSON list of [parameter, direction],
    `acted` one of [mechanism, hook, effect] for the hook calls that changed a decision or a
    prompt: what the report counts."""
    trial = record.trial
    failure = trial.outcome.failure
    optional = {
        "hypothesis": _cut(trial.proposal.hypothesis, _TAG_CHARS),
        "origin": _cut(trial.proposal.origin, _TAG_CHARS),
        "failure": str(failure.kind) if failure else "",
        "parent_trial": "" if trial.parent is None else str(trial.parent),
        "duplicate_of": "" if trial.duplicate_of is None else str(trial.duplicate_of),
        "retest_of": "" if trial.retest_of is None else str(trial.retest_of),
        "acted": _acted(record.hooks),
        **_research_tags(trial.proposal.mechanism),
    }
    return {
        "kind": "trial" if record.level == 1 else "outer",
        "level": f"{record.level:g}",
        "trial": str(trial.number),
        "decision": str(trial.decision),
        "moves": json.dumps(sorted(map(list, trial.moves))),
        **renamed([*_metrics(record, objective), *trial.config]),
    } | {name: text for name, text in optional.items() if text}


def _acted(hooks: Sequence[Mapping[str, Any]]) -> str:
    told = {(row["mechanism"], row["hook"], row["effect"]) for row in hooks
            if row.get("effect") in _ACTING}  # fmt: skip
    return json.dumps(sorted(map(list, told))) if told else ""


def _research_tags(mechanism: Invention | None) -> _Tags:
    if not mechanism:
        return {}
    return {
        "mechanism": mechanism.name,
        "domain": _cut(mechanism.domain, _TAG_CHARS),
        "domain_in_prompt": str(mechanism.domain_in_prompt).lower(),
        "admitted": str(mechanism.admitted).lower(),
        "attempts": str(len(mechanism.attempts)),
        "problem": _cut(mechanism.problem, _TAG_CHARS),
    }


def trial_params(trial: Trial) -> dict[str, str]:
    """Return the whole configuration as params; a text too long for a param is stored as a file
    instead."""
    return {
        key(name): _digest(value) if _is_long(value) else _text(value)
        for name, value in trial.config.items()
    }


def _is_long(value: Value | Any) -> bool:
    return len(_text(value)) > _PARAM_CHARS


def _digest(value: Value | Any) -> str:
    text = _text(value)
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}, {len(text)} characters"


def trial_metrics(record: TrialRecord, objective: Objective) -> _Metrics:
    """The trial's own numbers. Here `delta` = value - baseline, so that the lowest `delta` among
    a search's kept trials is the `delta` of the search. Numbers that are not finite are left out.
    """
    return finite(_metrics(record, objective))


def _metrics(record: TrialRecord, objective: Objective) -> _Metrics:
    """Return the trial's metrics (measured, cost/*, clock/*, tokens), finite or not."""
    trial = record.trial
    found: _Metrics = {**trial.outcome.metrics, **screenings.metrics(trial.proposal.mechanism)}
    found |= {f"cost/{name}": amount for name, amount in trial.outcome.cost.items()}
    found |= {f"clock/{name}": amount for name, amount in trial.outcome.clock.items()}
    if record.calls:
        found["tokens"] = sum(c.prompt_tokens + c.completion_tokens for c in record.calls)
        found["llm_calls"] = len(record.calls)
    found |= _named(trial.value, VALUE, record.metric or objective.metric)
    return found | _difference(trial.value, record.baseline)


def search_metrics(record: TrialRecord, objective: Objective) -> _Metrics:
    """Return the metrics of the search after a trial: one point of each of its curves."""
    found: _Metrics = {**record.totals, STEP_MARK: float(record.trial.number)}
    found |= _named(record.trial.value, VALUE, objective.metric)
    found |= _named(record.best, _BEST, f"best_{objective.metric}")
    found |= _difference(record.best, record.baseline)
    return finite(found)


def trial_files(record: TrialRecord) -> dict[str, str]:
    """Path -> text: the trial as data, prompts with replies, long texts of its configuration, diff,
    failure, hook calls."""
    trial = record.trial
    account = {
        "number": trial.number,
        "parent": trial.parent,
        "duplicate_of": trial.duplicate_of,
        "seed": trial.seed,
        "decision": str(trial.decision),
        "proposal": trial.proposal.to_json(),
        "config": dict(trial.config),
        "outcome": trial.outcome.to_json(),
    }
    files = {"trial.json": json.dumps(account, indent=1)}
    for number, call in enumerate(record.calls, start=1):
        files[f"calls/{number:02d}_{file_name(call.purpose)}.md"] = _conversation(call)
    files |= {file_name(n): _text(value) for n, value in trial.config.items() if _is_long(value)}
    for name, text in trial.outcome.notes.items():
        files[file_name(name) if "." in name else f"{file_name(name)}.txt"] = text
    if trial.outcome.failure is not None:
        files["failure.txt"] = f"{trial.outcome.failure.kind}\n{trial.outcome.failure.detail}\n"
    files |= _research_files(trial.proposal.mechanism)
    if record.hooks:
        files["hooks.json"] = json.dumps(list(record.hooks), indent=1)
    return files


def _research_files(mechanism: Invention | None) -> dict[str, str]:
    """Return the files of a level-2 session: every text it wrote, with the verdict of every
    gate, and of several candidates each one's."""
    if not mechanism:
        return {}
    return {
        "research.json": json.dumps(mechanism.to_json(), indent=1),
        **_texts(mechanism),
        **screenings.files(mechanism, _texts),
    }


def _texts(mechanism: Invention) -> dict[str, str]:
    files = {}
    for number, attempt in enumerate(mechanism.attempts, start=1):
        files[f"attempts/{number:02d}.py"] = attempt.source
        verdicts = map(_verdict, attempt.admission.verdicts)
        files[f"attempts/{number:02d}.txt"] = "".join(verdicts)
    return files


def _verdict(verdict: GateVerdict) -> str:
    return f"{'passed' if verdict.passed else 'REFUSED'} {verdict.gate}: {verdict.reason}\n"


def mechanism_name(record: MechanismRecord) -> str:
    return f"mechanism {_cut(record.name, _NAME_CHARS)}"


def mechanism_tags(record: MechanismRecord) -> _Tags:
    """Return the tags of a mechanism's run; from `hook_calls` and `digest` the tracker tells
    whether the run is up to date."""
    said = {
        "state": record.state,
        "source": record.source,
        "counts": dict(record.counts),
        "rows": projection(list(record.rows)),
        "credit": dict(record.credit),
    }
    return {
        "mechanism": record.name,
        "carrier": record.carrier,
        "state": record.state,
        "level": f"{record.level:g}",
        "hook_calls": str(hook_calls(record)),
        "digest": hashlib.sha256(canonical(said).encode()).hexdigest()[:16],
    }


def hook_calls(record: MechanismRecord) -> int:
    """Return how often the mechanism's hooks were called: the step at which its counts are
    logged."""
    return sum(record.counts.values())


def mechanism_metrics(record: MechanismRecord) -> _Metrics:
    """Return how often each hook had which effect, and the credit of the mechanism's own trials
    and of the proposer's."""
    counts = {f"hook/{name}": float(count) for name, count in record.counts.items()}
    return finite(counts | {f"credit/{name}": number for name, number in record.credit.items()})


def mechanism_files(record: MechanismRecord) -> dict[str, str]:
    files = {"ledger.json": json.dumps(list(record.rows), indent=1)}
    if record.source:
        files["source.py" if record.carrier == "code" else "source.txt"] = record.source
    return files


def mechanisms_json(records: Mapping[str, MechanismRecord]) -> str:
    """Return the whole activation ledger of a search, as JSON."""
    return json.dumps(
        [
            {
                "mechanism": r.name,
                "level": r.level,
                "carrier": r.carrier,
                "state": r.state,
                "counts": dict(r.counts),
                "credit": dict(r.credit),
                "rows": list(r.rows),
            }
            for r in records.values()
        ],
        indent=1,
    )


def _conversation(call: CallRecord) -> str:
    parts = [f"## {message['role']}\n\n{message['content']}" for message in call.messages]
    parts.append(f"## reply\n\n{call.text}")
    if call.problem:
        parts.append(f"## problem\n\n{call.problem}")
    return "\n\n".join(parts) + "\n"


def _named(value: float | None, *names: str) -> _Metrics:
    return {} if value is None else dict.fromkeys(names, value)


def _difference(value: float | None, baseline: float | None) -> _Metrics:
    return {} if value is None or baseline is None else {DELTA: value - baseline}


def finite(metrics: Mapping[str, float]) -> _Metrics:
    """Return the metrics that are finite, under names that MLflow accepts."""
    return {key(name): float(value) for name, value in metrics.items() if math.isfinite(value)}


def _cut(text: str, chars: int) -> str:
    """Return the text cut to `chars`, with NUL replaced: PostgreSQL does not store it."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _text(value: Value | Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
