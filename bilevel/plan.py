"""What searches would run and cost, before they are run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bilevel.identity import identify

SESSION_CALLS = 4  # explore, critique, specify, generate
CALL_TOKENS = (4750, 80)  # a prompt and a reply of level 1, as measured on cpu_gpt
SESSION_TOKENS = (6200, 700)  # one of a research session's


@dataclass(frozen=True)
class Plan:
    """Trials and time are what would be charged; calls, tokens and money are estimates without
    repair rounds. `limit_h` is what the tasks with a time limit take at most."""

    search: str
    trials: int
    others: int  # baselines and confirmations
    modelled_h: float
    limit_h: float
    calls: int
    tokens_in: int
    tokens_out: int
    usd: float

    def __str__(self) -> str:
        hours = [f"{self.modelled_h:.2f} modelled hours"] if self.modelled_h else []
        hours += [f"at most {self.limit_h:.2f} hours"] if self.limit_h else []
        return (
            f"{self.search}: {self.trials:,} trials, {self.others} for baselines and confirming, "
            f"{', '.join(hours) or 'microseconds a trial'}, about {self.calls:,} model calls, "
            f"{self.tokens_in + self.tokens_out:,} tokens, {self.usd:.2f} US dollars"
        )


def plan(settings: Mapping[str, Any]) -> Plan:
    search, task, llm = settings["search"], settings["task"], settings["llm"]
    runs = search["trials"] + 1 + 2 * search["confirm_seeds"]
    calls, tokens_in, tokens_out = _asked(settings) if llm.get("_target_") else (0, 0, 0)
    prices = [llm.get(f"price_per_mtok_{way}", 0.0) for way in ("in", "out")]
    modelled = task.get("budget_s")
    return Plan(
        search=f"{identify(settings).search} task={task['name']} llm={llm['name']}",
        trials=search["trials"],
        others=runs - search["trials"],
        modelled_h=runs * (modelled or 0) / 3600,
        limit_h=0 if modelled else runs * task.get("limit_s", 0) / 3600,
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=(tokens_in * prices[0] + tokens_out * prices[1]) / 1e6,
    )


def together(plans: Sequence[Plan]) -> Plan:
    names = [field.name for field in fields(Plan) if field.name != "search"]
    sums = {name: sum(getattr(one, name) for one in plans) for name in names}
    return Plan(search=f"{len(plans)} searches", **sums)


def _asked(settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """Calls, and the tokens of their prompts and replies."""
    trials = steps = settings["search"]["trials"]
    baseline = settings["baseline"]
    calls = round(trials * baseline.get("calls_a_trial", 1))
    sessions = 0
    for spec in settings["outer"]["levels"].values():
        steps = -(-steps // spec["every"])
        if spec.get("attaching"):
            sessions += SESSION_CALLS * max(0, steps - 1)
        elif "temperature" in spec["proposer"]:
            calls += max(0, steps - 1)
    proposer = settings["inner"].get("proposer") or {}
    calls = max(calls, proposer.get("tokens_a_trial", 0) * trials // sum(CALL_TOKENS))
    prompt, reply = CALL_TOKENS
    prompt = baseline.get("tokens_a_call", prompt)
    asked = calls * prompt + sessions * SESSION_TOKENS[0]
    return calls + sessions, asked, calls * reply + sessions * SESSION_TOKENS[1]
