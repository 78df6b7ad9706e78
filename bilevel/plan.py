"""What a search would run and cost, before it is run."""

from collections.abc import Mapping
from typing import Any

from bilevel.identity import identify

SESSION_CALLS = 4  # explore, critique, specify, generate
CALL_TOKENS = (4750, 80)  # a prompt and a reply of level 1, as measured on cpu_gpt


def plan(settings: Mapping[str, Any]) -> str:
    """Trials and modelled time are what the search will be charged; calls, tokens and money are
    an estimate without repair rounds."""
    identity = identify(settings)
    trials = settings["search"]["trials"]
    budget_s = settings["task"].get("budget_s")
    llm = settings["llm"]
    calls = trials if llm.get("_target_") and "proposer" in settings["inner"] else 0
    steps = trials
    for spec in settings["outer"]["levels"].values():
        steps = -(-steps // spec["every"])
        asks = SESSION_CALLS if spec.get("attaching") else 1
        calls += asks * max(0, steps - 1) if llm.get("_target_") else 0
    asked, replied = (calls * tokens for tokens in CALL_TOKENS)
    usd = (
        asked * llm.get("price_per_mtok_in", 0.0) + replied * llm.get("price_per_mtok_out", 0.0)
    ) / 1e6
    limit_s = settings["task"].get("limit_s")
    runs = trials + 1 + 2 * settings["search"]["confirm_seeds"]
    hours = "microseconds a trial"
    if limit_s is not None:
        hours = f"at most {runs * limit_s / 3600:.2f} hours"
    if budget_s is not None:
        hours = f"{runs * budget_s / 3600:.2f} modelled hours"
    return (
        f"{identity.search} task={settings['task']['name']} llm={llm['name']}: "
        f"{trials} trials, a baseline and {runs - trials - 1} for confirming, {hours}, "
        f"about {calls} model calls, "
        f"{asked + replied:,} tokens, {usd:.2f} US dollars"
    )
