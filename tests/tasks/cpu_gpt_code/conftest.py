"""The small corpus of `cpu_gpt`, and scripts that are judged on it."""

import json
import textwrap
from pathlib import Path

import pytest

from bilevel.sandbox.worker_handle import CONFINING, missing
from bilevel.tasks.cpu_gpt.corpus import Corpus
from bilevel.tasks.cpu_gpt_code import judge
from bilevel.tasks.cpu_gpt_code.verdict import FILE, Verdict
from tests.tasks.cpu_gpt.conftest import corpus, text_file

__all__ = ["corpus", "text_file"]

HEAD = """
import torch
from torch import nn
from bilevel.tasks.cpu_gpt.job import current_job
job = current_job()
torch.manual_seed(job.seed)

class Bigram(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(job.vocab_size, 16))
        self.head = nn.Parameter(torch.zeros(16, job.vocab_size))
    def forward(self, tokens):
        return self.embedding[tokens] @ self.head

def train(model, rows=4):
    inputs, targets = job.batch(rows)
    logits = model(inputs).flatten(0, 1)
    nn.functional.cross_entropy(logits, targets.flatten()).backward()
    with torch.no_grad():
        for p in model.parameters():
            p.sub_(p.grad, alpha=1.0)
            p.grad = None

model = Bigram()
"""
TAIL = """
for progress in job.meter:
    train(model)
job.hand_over(model)
"""


@pytest.fixture(scope="session")
def walled() -> None:
    reasons = [missing(layer) for layer in CONFINING]
    if all(reasons):
        pytest.skip("; ".join(reasons))


def judged(
    folder: Path, corpus: Corpus, script: str, budget_s: float = 0.1, **options: object
) -> Verdict:
    """The verdict on a script, in its own two confined processes."""
    file = folder / "train.py"
    file.write_text(script)
    argv = [str(file), "--seed=3", f"--budget-s={budget_s}", f"--corpus={corpus.folder}"]
    argv += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    assert judge.main(argv) == 0
    return Verdict.from_json(json.loads((folder / FILE).read_text()))


def script(middle: str = "", tail: str = TAIL) -> str:
    return HEAD + textwrap.dedent(middle) + textwrap.dedent(tail)
