"""Pretrain a small GPT on one CPU thread within a budget of modelled seconds: the file to edit."""

import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bilevel.tasks.cpu_gpt.job import Job, current_job

# Model
ASPECT_RATIO = 64  # width = DEPTH * ASPECT_RATIO, rounded up to a multiple of HEAD_DIM
HEAD_DIM = 64  # width of one attention head
WINDOW_PATTERN = "SSSL"  # layer by layer, repeated: S sees half of the sequence, L all of it
# Optimisation
TOTAL_BATCH_SIZE = 2**13  # tokens in one optimiser step
EMBEDDING_LR = 0.6  # learning rate of the token and value embeddings (AdamW)
UNEMBEDDING_LR = 0.004  # learning rate of the output head (AdamW)
MATRIX_LR = 0.04  # learning rate of the weight matrices (Muon)
SCALAR_LR = 0.5  # learning rate of the residual and x0 scalars (AdamW)
WEIGHT_DECAY = 0.2  # of the weight matrices; falls to zero over the budget
ADAM_BETAS = (0.8, 0.95)  # AdamW's two decay rates
WARMUP_RATIO = 0.0  # share of the budget over which learning rates rise
WARMDOWN_RATIO = 0.5  # share of the budget over which learning rates fall
FINAL_LR_FRAC = 0.0  # learning rates at the end of the budget, as a share of their peak
# Size
DEPTH = 2  # transformer layers
DEVICE_BATCH_SIZE = 16  # sequences in a micro-batch; gradients accumulate to TOTAL_BATCH_SIZE

SOFTCAP = 15.0  # logits stay between -SOFTCAP and SOFTCAP
LOSS_ROWS = 128  # rows of logits in work at a time: few enough to stay in the processor's cache
GATE_CHANNELS = 32  # channels of x that decide how much of the value embedding a head takes


class RMSNorm(torch.autograd.Function):
    """x / rms(x) over the last dimension; keeps the output and one number a row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rms = torch.linalg.vector_norm(x, dim=-1, keepdim=True).mul_(x.shape[-1] ** -0.5)
        inverse = rms.clamp_min_(1e-6).reciprocal_()
        y: Tensor = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        y, inverse = ctx.saved_tensors
        along = (grad * y).mean(-1, keepdim=True)
        x_grad: Tensor = torch.addcmul(grad, y, along, value=-1).mul_(inverse)
        return x_grad


class SquaredReLU(torch.autograd.Function):
    """max(x, 0)²."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        x_grad: Tensor = (grad * positive).mul_(2)
        return x_grad


class CappedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of SOFTCAP * tanh(x @ head.T / SOFTCAP); both passes in one sweep of rows.

    softmax ignores a constant and tanh(z) = 2 sigmoid(2z) - 1, so the cheaper sigmoid serves.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        # x: (rows, width); head: (vocab, width); targets: (rows, 1)
        x_grad, head_grad, loss = torch.empty_like(x), torch.zeros_like(head), x.new_zeros(())
        gates = x.new_empty(min(LOSS_ROWS, len(x)), len(head))
        logits = torch.empty_like(gates)
        for i in range(0, len(x), LOSS_ROWS):
            part, target = x[i : i + LOSS_ROWS], targets[i : i + LOSS_ROWS]
            gate = torch.mm(part, head.t(), out=gates[: len(part)]).mul_(2 / SOFTCAP).sigmoid_()
            probs = torch.mul(gate, 2 * SOFTCAP, out=logits[: len(part)])
            torch.softmax(probs, -1, out=probs)
            at_target = probs.gather(1, target)
            loss -= at_target.log().sum()
            probs.scatter_(1, target, at_target - 1)
            probs.mul_(gate.addcmul_(gate, gate, value=-1))  # the cap's slope is 4 gate (1 - gate)
            torch.mm(probs, head, out=x_grad[i : i + LOSS_ROWS])
            head_grad.addmm_(probs.t(), part)
        ctx.save_for_backward(x_grad, head_grad)
        ctx.scale = 4 / len(x)
        return loss / len(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x_grad, head_grad = ctx.saved_tensors
        scale = grad * ctx.scale
        return x_grad * scale, head_grad * scale, None


norm: Callable[[Tensor], Tensor] = RMSNorm.apply
squared_relu: Callable[[Tensor], Tensor] = SquaredReLU.apply
cross_entropy: Callable[[Tensor, Tensor, Tensor], Tensor] = CappedCrossEntropy.apply


def matrix(rows: int, columns: int) -> nn.Parameter:
    """Uniform, with standard deviation columns ** -0.5."""
    bound = (3 / columns) ** 0.5
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))


def rotate(x: Tensor, phases: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * phases).view(x.shape)


class Block(nn.Module):
    """Attention, then a feed-forward layer; `phases` rotates queries and keys by position."""

    def __init__(self, width: int, window: int, time_len: int, values_of_vocab: int | None) -> None:
        super().__init__()
        self.heads = width // HEAD_DIM
        self.query, self.key, self.value = (matrix(width, width) for _ in range(3))
        self.out = nn.Parameter(torch.zeros(width, width))
        self.up, self.down = matrix(4 * width, width), nn.Parameter(torch.zeros(width, 4 * width))
        self.value_embedding, self.value_gate = None, None
        if values_of_vocab is not None:
            self.value_embedding = matrix(values_of_vocab, width)
            self.value_gate = nn.Parameter(torch.zeros(self.heads, min(GATE_CHANNELS, width)))
        ago = torch.arange(time_len)[:, None] - torch.arange(time_len)
        self.bias = torch.zeros(time_len, time_len)  # added to attention scores
        self.bias.masked_fill_((ago < 0) | (ago >= window), -1e9)

    def attend(self, x: Tensor, tokens: Tensor, phases: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = (batch, length, self.heads, HEAD_DIM)
        q = rotate(norm(F.linear(x, self.query).view(split)), phases[:length])
        k = rotate(norm(F.linear(x, self.key).view(split)), phases[:length])
        v = F.linear(x, self.value).view(split)
        if self.value_embedding is not None and self.value_gate is not None:
            channels = self.value_gate.shape[1]
            gate = 2 * torch.sigmoid(F.linear(x[..., :channels], self.value_gate))
            embedded = F.embedding(tokens, self.value_embedding).view(split)
            v = torch.addcmul(v, gate[..., None], embedded)
        # Explicit products: at this size a CPU runs them faster than the fused kernel's backward.
        q, k, v = (t.transpose(1, 2).reshape(-1, length, HEAD_DIM) for t in (q, k, v))
        bias = self.bias[:length, :length].expand(len(q), -1, -1)
        weights = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=HEAD_DIM**-0.5).softmax(-1)
        y = torch.bmm(weights, v).view(batch, self.heads, length, HEAD_DIM).transpose(1, 2)
        return F.linear(y.reshape(batch, length, width), self.out)

    def forward(self, x: Tensor, tokens: Tensor, phases: Tensor) -> Tensor:
        x = x + self.attend(norm(x), tokens, phases)
        return x + F.linear(squared_relu(F.linear(norm(x), self.up)), self.down)


class GPT(nn.Module):
    """tokens (batch, time) -> logits (batch, time, vocab)."""

    def __init__(self, vocab_size: int, time_len: int) -> None:
        super().__init__()
        width = math.ceil(DEPTH * ASPECT_RATIO / HEAD_DIM) * HEAD_DIM
        self.embedding = nn.Parameter(torch.randn(vocab_size, width))
        self.head = nn.Parameter(torch.randn(vocab_size, width) * 0.001)
        self.residual_scale = nn.Parameter(torch.ones(DEPTH))
        self.x0_scale = nn.Parameter(torch.full((DEPTH,), 0.1))
        self.blocks = nn.ModuleList()
        for layer in range(DEPTH):
            above = DEPTH - 1 - layer  # layers after this one
            sees = {"S": time_len // 2, "L": time_len}[WINDOW_PATTERN[layer % len(WINDOW_PATTERN)]]
            window = sees if above else time_len
            # every second layer, counting back from the last, also embeds tokens as values
            self.blocks.append(Block(width, window, time_len, None if above % 2 else vocab_size))
        speed = 10_000.0 ** -torch.linspace(0, 1, HEAD_DIM // 2)
        angles = torch.arange(time_len)[:, None, None] * speed  # (time, 1, HEAD_DIM / 2)
        self.phases = torch.polar(torch.ones_like(angles), angles)

    def hidden(self, tokens: Tensor) -> Tensor:
        x = x0 = norm(F.embedding(tokens, self.embedding))
        for layer, block in enumerate(self.blocks):
            x = torch.addcmul(x * self.residual_scale[layer], x0, self.x0_scale[layer])
            x = block(x, tokens, self.phases)
        return norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        return SOFTCAP * torch.tanh(F.linear(self.hidden(tokens), self.head) / SOFTCAP)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(self.hidden(tokens).flatten(0, 1), self.head, targets.view(-1, 1))


class AdamW:
    """Adam for embeddings, head and scalars; its state exists before the first step."""

    def __init__(self, params: list[nn.Parameter], lr: float, eps: float = 1e-10) -> None:
        self.params, self.lr, self.eps, self.steps = params, lr, eps, 0
        self.means = [torch.zeros_like(p) for p in params]
        self.squares = [torch.zeros_like(p) for p in params]

    def step(self, lr_scale: float) -> None:
        self.steps += 1
        beta1, beta2 = ADAM_BETAS
        lr = self.lr * lr_scale / (1 - beta1**self.steps)
        unbias = (1 - beta2**self.steps) ** -0.5
        for p, mean, square in zip(self.params, self.means, self.squares, strict=True):
            assert p.grad is not None
            mean.lerp_(p.grad, 1 - beta1)
            square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            p.addcdiv_(mean, square.sqrt().mul_(unbias).add_(self.eps), value=-lr)


class Muon:
    """Momentum made orthogonal by Newton-Schulz, matrices of one shape at once (Jordan, 2024)."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        self.lr, self.momentum = lr, momentum
        shapes = dict.fromkeys(p.shape for p in params)
        self.groups = [[p for p in params if p.shape == shape] for shape in shapes]
        self.buffers = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    def step(self, lr_scale: float, weight_decay: float) -> None:
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            grads = torch.stack([p.grad for p in group if p.grad is not None])
            buffer.lerp_(grads, 1 - self.momentum)
            updates = self.orthogonal(grads.lerp_(buffer, self.momentum))
            rows, columns = group[0].shape
            lr = self.lr * lr_scale * max(1.0, rows / columns) ** 0.5
            for p, update in zip(group, updates, strict=True):
                p.mul_(1 - lr * weight_decay).sub_(update, alpha=lr)

    @staticmethod
    def orthogonal(x: Tensor) -> Tensor:
        """x: (matrices, rows, columns) -> about the nearest matrices with singular values 1."""
        tall = x.shape[1] > x.shape[2]
        x = x.mT if tall else x
        x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(5):
            a = torch.bmm(x, x.mT)
            b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
            x = torch.baddbmm(x, b, x, beta=3.4445)
        return x.mT if tall else x


def optimisers(model: GPT) -> tuple[Muon, list[AdamW]]:
    def named(*endings: str) -> list[nn.Parameter]:
        return [p for name, p in model.named_parameters() if name.endswith(endings)]

    scale = (model.embedding.shape[1] / 768) ** -0.5  # learning rates are quoted at width 768
    muon = Muon(named("query", "key", "value", "out", "up", "down"), MATRIX_LR)
    adams = [
        AdamW(named("embedding"), EMBEDDING_LR * scale),
        AdamW(named("head", "gate"), UNEMBEDDING_LR * scale),
        AdamW(named("residual_scale"), SCALAR_LR * 0.01),
        AdamW(named("x0_scale"), SCALAR_LR),
    ]
    trained = sum(map(len, muon.groups)) + sum(len(adam.params) for adam in adams)
    assert trained == len(list(model.parameters())), "a parameter has no optimiser"
    return muon, adams


def lr_scale(progress: float) -> float:
    """progress: share of the budget used, 0 to 1."""
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress <= 1 - WARMDOWN_RATIO:
        return 1.0
    left = (1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


def micro_batches(time_len: int) -> tuple[int, int]:
    """Sequences in a micro-batch, and how many micro-batches make one optimiser step."""
    rows = max(1, min(DEVICE_BATCH_SIZE, TOTAL_BATCH_SIZE // time_len))
    if TOTAL_BATCH_SIZE % (rows * time_len):
        raise ValueError(
            f"TOTAL_BATCH_SIZE={TOTAL_BATCH_SIZE} is not a multiple of {rows} x {time_len} tokens; "
            f"choose powers of two, TOTAL_BATCH_SIZE at least {time_len}"
        )
    return rows, TOTAL_BATCH_SIZE // (rows * time_len)


def train_step(model: GPT, job: Job, rows: int, accumulate: int) -> float:
    """Fill the gradients of one optimiser step; returns the mean loss in nats."""
    total = 0.0
    model.zero_grad()
    for _ in range(accumulate):
        loss = model.loss(*job.batch(rows)) / accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def main(job: Job) -> None:
    started = time.time()
    torch.manual_seed(job.seed)
    model = GPT(job.vocab_size, job.time_len)
    muon, adams = optimisers(model)
    rows, accumulate = micro_batches(job.time_len)
    begun = time.time()
    for progress in job.meter:  # until the budget is used
        loss = train_step(model, job, rows, accumulate)
        if not loss <= 100:
            print("FAIL")
            sys.exit(1)
        scale = lr_scale(progress)
        with torch.no_grad():
            muon.step(scale, WEIGHT_DECAY * (1 - progress))
            for adam in adams:
                adam.step(scale)
    job.hand_over(model)
    print("---")
    print(f"training_seconds: {time.time() - begun:.1f}")
    print(f"total_seconds:    {time.time() - started:.1f}")
    print(f"peak_vram_mb:     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")
    print(f"total_tokens_M:   {job.meter.steps * TOTAL_BATCH_SIZE / 1e6:.3f}")
    print(f"num_steps:        {job.meter.steps}")
    print(f"num_params_M:     {sum(p.numel() for p in model.parameters()) / 1e6:.3f}")
    print(f"depth:            {DEPTH}")


if __name__ == "__main__":
    main(current_job())
