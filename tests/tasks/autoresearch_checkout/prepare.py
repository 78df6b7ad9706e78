"""Stands for the evaluator of an autoresearch checkout: text of a made-up language, and bits per
byte of a model on the part of it that is kept apart. A token is a byte."""

import math

import torch

MAX_SEQ_LEN = 512
TOKEN_BUDGET = 2**19  # takes the place of a time budget, so that a seed has one result
VOCAB_SIZE = 24
TRAIN_ROWS, VAL_ROWS = 512, 32


def rows(split: str) -> torch.Tensor:
    """Sequences (rows, time + 1) in which the next token depends on the last two."""
    generator = torch.Generator().manual_seed(7)
    likely = torch.rand(VOCAB_SIZE, VOCAB_SIZE, VOCAB_SIZE, generator=generator).pow(12)
    bounds = (likely / likely.sum(-1, keepdim=True)).cumsum(-1)
    count = {"train": TRAIN_ROWS, "val": VAL_ROWS}[split]
    generator.manual_seed(8 if split == "train" else 9)
    draws = torch.rand(MAX_SEQ_LEN + 1, count, 1, generator=generator)
    tokens = torch.zeros(MAX_SEQ_LEN + 3, count, dtype=torch.long)
    for place, draw in enumerate(draws, start=2):
        tokens[place] = (bounds[tokens[place - 2], tokens[place - 1]] < draw).sum(-1)
    return tokens[2:].T.clamp(max=VOCAB_SIZE - 1).contiguous()


@torch.no_grad()
def evaluate_bpb(model: torch.nn.Module) -> float:
    held_out = rows("val")
    logits = model(held_out[:, :-1])
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), held_out[:, 1:].flatten())
    return float(nats) / math.log(2)
