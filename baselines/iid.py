"""Independent proposals: the model is shown the experiment and its ranges, and no search."""

from collections.abc import Sequence
from dataclasses import replace

from bilevel.proposers.llm import LLMProposer
from bilevel.trace import Proposal, Trace
from bilevel.view import Brief, View, none_attached


class Blind(LLMProposer):
    """A proposer that asks the language model without memory: no trials, no best value, no count of
    what is left.

    With the baseline as every trial's parent (mechanism `from_baseline`) each prompt is the same
    and its replies are independent samples, the control that sequential search has to beat
    (Gideoni, Risi and Gal, "Simple baselines are competitive with code evolution", arXiv
    2602.16805).
    """

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        first = view.trace[:1]
        blind = replace(
            view,
            trace=Trace(first),
            trials_left=None,
            asker=lambda *_: view.ask,
            mechanisms=none_attached,
        )
        return super().propose(blind, replace(brief, trials=()))
