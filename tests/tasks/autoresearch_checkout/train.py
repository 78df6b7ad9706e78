"""Stands for the training script of an autoresearch checkout: the same constants, seeds, progress
line and summary, over a model so small that a CPU trains it in a second."""
# mypy: ignore-errors

import sys
import time

import torch
from prepare import MAX_SEQ_LEN, TOKEN_BUDGET, VOCAB_SIZE, evaluate_bpb, rows
from torch import Tensor, nn

ASPECT_RATIO = 64
HEAD_DIM = 128
WINDOW_PATTERN = "SSSL"  # S sees one token back, L two
TOTAL_BATCH_SIZE = 2**18  # tokens a step
EMBEDDING_LR = 0.6
UNEMBEDDING_LR = 0.004
MATRIX_LR = 0.04
SCALAR_LR = 0.5
WEIGHT_DECAY = 0.2
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
WARMDOWN_RATIO = 0.5
FINAL_LR_FRAC = 0.0
DEPTH = 8
DEVICE_BATCH_SIZE = 128

SHRINK = 32  # one in so many channels and heads of the real thing


class Layer(nn.Module):
    def __init__(self, width: int, back: int) -> None:
        super().__init__()
        self.back = back
        self.mix = nn.Linear(width, width, bias=False)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        earlier = nn.functional.pad(x, (0, 0, self.back, 0))[:, : x.shape[1]]
        return x + self.scale * self.mix(earlier).relu()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        heads = HEAD_DIM // SHRINK
        width = -(-DEPTH * ASPECT_RATIO // SHRINK // heads) * heads
        ends = WINDOW_PATTERN[0], WINDOW_PATTERN[-1]
        self.embedding = nn.Embedding(VOCAB_SIZE, width)
        self.layers = nn.Sequential(*(Layer(width, 1 if kind == "S" else 2) for kind in ends))
        self.unembedding = nn.Linear(width, VOCAB_SIZE, bias=False)
        nn.init.zeros_(self.unembedding.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.unembedding(self.layers(self.embedding(tokens)))


def optimizer_of(model: Model) -> torch.optim.AdamW:
    matrices = [layer.mix.weight for layer in model.layers]
    scalars = [layer.scale for layer in model.layers]
    groups = [
        {"params": model.embedding.parameters(), "lr": EMBEDDING_LR},
        {"params": model.unembedding.parameters(), "lr": UNEMBEDDING_LR},
        {"params": matrices, "lr": MATRIX_LR, "weight_decay": WEIGHT_DECAY},
        {"params": scalars, "lr": SCALAR_LR * 0.01},
    ]
    made = torch.optim.AdamW(groups, betas=ADAM_BETAS, weight_decay=0.0)
    for group in made.param_groups:
        group["initial_lr"] = group["lr"]
    return made


def rate(progress: float) -> float:
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress < 1 - WARMDOWN_RATIO:
        return 1.0
    left = (1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


started = time.time()
torch.set_num_threads(1)
torch.manual_seed(42)
torch.cuda.manual_seed(42)
text = rows("train")
text = text[torch.randperm(len(text))]
model = Model()
optimizer = optimizer_of(model)
micro_batch = DEVICE_BATCH_SIZE * MAX_SEQ_LEN
assert TOTAL_BATCH_SIZE % micro_batch == 0
steps, served = max(1, TOKEN_BUDGET // TOTAL_BATCH_SIZE), 0
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * rate(step / steps)
    for _ in range(TOTAL_BATCH_SIZE // micro_batch):
        picks = torch.arange(served, served + DEVICE_BATCH_SIZE) % len(text)
        served += DEVICE_BATCH_SIZE
        batch = text[picks]
        logits = model(batch[:, :-1]).flatten(0, 1)
        loss = nn.functional.cross_entropy(logits, batch[:, 1:].flatten())
        (loss * micro_batch / TOTAL_BATCH_SIZE).backward()
    optimizer.step()
    optimizer.zero_grad()
    print(f"\rstep {step:05d} | loss: {loss:.6f} | remaining: {steps - step}    ", end="")
    if not loss.item() <= 100:
        print("FAIL")
        sys.exit(1)
print()
trained = time.time()
val_bpb = evaluate_bpb(model)
print("---")
print(f"val_bpb:          {val_bpb:.6f}")
print(f"training_seconds: {trained - started:.1f}")
print(f"total_seconds:    {time.time() - started:.1f}")
print(f"num_steps:        {steps}")
print(f"depth:            {DEPTH}")
