"""Edits of a GPT that nobody cheats with: each is a few lines that build, compute and train."""

# mypy: allow-untyped-calls
# ruff: noqa: N812, SIM905

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS, TIME, WIDTH, VOCAB = 2, 16, 32, 50
Edit = Callable[[], object]


def x(*shape: int) -> Tensor:
    return torch.randn(*(shape or (ROWS, TIME, WIDTH)), requires_grad=True)


def tokens() -> Tensor:
    return torch.randint(0, VOCAB, (ROWS, TIME))


def learned(out: Tensor) -> None:
    out.float().square().mean().backward()


def steps(kind: Any, given: dict[str, object]) -> None:
    layer = nn.Linear(WIDTH, WIDTH)
    decay = {} if kind is torch.optim.Rprop else {"weight_decay": 0.1}
    optimiser = kind(layer.parameters(), lr=0.01, **decay, **given)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    for _ in range(2):
        optimiser.zero_grad()
        learned(layer(x()))
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def optimisers() -> Iterator[tuple[str, Edit]]:
    kinds: dict[str, dict[str, object]] = {
        "SGD": {"momentum": 0.9, "nesterov": True},
        "Adam": {"amsgrad": True},
        "RMSprop": {"momentum": 0.9, "centered": True},
    }
    names = "AdamW NAdam RAdam Adamax Adagrad Adadelta Rprop ASGD".split()
    for name, given in {**kinds, **{name: {} for name in names}}.items():
        for foreach in (False, True):
            kind, more = getattr(torch.optim, name), {**given, "foreach": foreach}
            yield f"{name} foreach={foreach}", partial(steps, kind, more)
    for name in ("Adam", "AdamW", "SGD", "Adagrad"):
        yield f"{name} fused", partial(steps, getattr(torch.optim, name), {"fused": True})


def lion() -> None:
    p, mean = x(WIDTH, WIDTH), torch.zeros(WIDTH, WIDTH)
    learned(p)
    with torch.no_grad():
        grad = p.grad
        assert grad is not None
        p.mul_(0.99).add_(mean.lerp(grad, 0.1).sign_(), alpha=-0.01)
        mean.lerp_(grad, 0.01)
        p.sub_(torch.sign(mean) * 0.1)
        torch._foreach_lerp_([mean], [grad], 0.1)
        torch._foreach_mul_([mean, mean], 0.5)


def muon() -> None:
    g = x(3, WIDTH, 2 * WIDTH).detach().bfloat16()
    g = g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(2):
        a = g @ g.mT
        g = 3.4 * g + (-4.7 * a + 2.0 * a @ a) @ g
    update = g.float() * max(1, g.size(-2) / g.size(-1)) ** 0.5
    torch.linalg.matrix_norm(update)
    torch.addmm(update[0], update[0], torch.eye(2 * WIDTH))


def shampoo() -> None:
    a = x(WIDTH, WIDTH).detach()
    gram = a @ a.T + torch.eye(WIDTH)
    values, vectors = torch.linalg.eigh(gram)
    vectors @ torch.diag(values.clamp(min=1e-6) ** -0.25) @ vectors.T
    torch.linalg.qr(a)
    torch.linalg.svd(a, full_matrices=False)
    torch.linalg.svdvals(a)
    torch.linalg.cholesky(gram)
    torch.linalg.solve(gram, a)
    torch.linalg.inv(gram)
    torch.linalg.norm(a, 2)
    torch.linalg.vector_norm(a, dim=-1)
    torch.linalg.matrix_norm(a, "nuc")
    torch.outer(a[0], a[1])
    torch.mv(a, a[0]), torch.dot(a[0], a[1]), torch.trace(a), torch.linalg.matrix_power(a, 3)


def norms() -> None:
    for make in (nn.LayerNorm, nn.RMSNorm):
        learned(make(WIDTH)(x()))
    learned(nn.GroupNorm(4, WIDTH)(x(ROWS, WIDTH, TIME)))
    learned(F.rms_norm(x(), (WIDTH,)))
    learned(F.layer_norm(x(), (WIDTH,)))
    learned(F.normalize(x(), dim=-1))
    y = x()
    learned(y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6))
    learned((y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True) + 1e-5).sqrt())
    learned(y / y.std(-1, keepdim=True))
    learned(y / y.abs().amax(-1, keepdim=True))
    learned(nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH))(y))
    learned(nn.utils.parametrizations.orthogonal(nn.Linear(WIDTH, WIDTH))(y))
    learned(nn.utils.parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH))(y))


def activations() -> None:
    names = (
        *("relu", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "softplus", "mish", "tanh"),
        *("sigmoid", "hardswish", "hardsigmoid", "hardtanh", "relu6", "logsigmoid", "softsign"),
        *("tanhshrink", "softshrink", "glu", "hardshrink"),
    )
    for name in names:
        learned(getattr(F, name)(x()))
    learned(F.gelu(x(), approximate="tanh"))
    learned(F.relu(x()).square())
    learned(F.prelu(x(), torch.tensor([0.1])))
    gate, up = x(ROWS, TIME, 2 * WIDTH).chunk(2, dim=-1)
    learned(F.silu(gate) * up)
    for each in (torch.sin, torch.cos, torch.exp, torch.erf, torch.atan, torch.asinh, torch.expm1):
        learned(each(x()))
    learned(torch.log1p(x().abs()))
    learned(torch.exp2(x()) + torch.reciprocal(x().square() + 1) + torch.log2(x().exp()))
    learned(torch.clamp(x(), -1, 1) + torch.minimum(x(), x()) + torch.maximum(x(), x()))
    learned(torch.where(x() > 0, x(), x() * 0.1))
    learned(torch.logaddexp(x(), x()) + x().abs().sqrt() + torch.hypot(x(), x()))
    learned(torch.sinc(x()) + torch.square(x()) + torch.lerp(x(), x(), 0.5))
    learned(torch.lerp(x(), x(), torch.sigmoid(x())) + torch.addcdiv(x(), x(), x().exp()))
    learned(2.0 ** x() + x().abs() ** 1.5 + x().fmod(2.0) + x().remainder(2.0) + x().frac())


def rotary() -> None:
    half = WIDTH // 2
    angles = torch.outer(torch.arange(TIME).float(), 10_000 ** -(torch.arange(half) / half))
    cos, sin = angles.cos(), angles.sin()
    a, b = x()[..., :half], x()[..., half:]
    learned(torch.cat([a * cos - b * sin, a * sin + b * cos], -1))
    y = x().unflatten(-1, (half, 2))
    learned(torch.stack((-y[..., 1], y[..., 0]), -1).flatten(-2) + torch.roll(x(), 1, -1))
    z = torch.view_as_complex(x().view(ROWS, TIME, half, 2)) * torch.polar(
        torch.ones_like(angles), angles
    )
    learned(torch.view_as_real(z))
    learned(x() * torch.repeat_interleave(cos, 2, dim=-1))
    learned(x() * cos.repeat(1, 2) + torch.tile(sin, (1, 2)))


def attention() -> None:
    q, k, v = (x(ROWS, 4, TIME, 8) for _ in range(3))
    learned(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    far = torch.arange(TIME)[:, None] - torch.arange(TIME)
    near = (far >= 0) & (far < 4)
    learned(F.scaled_dot_product_attention(q, k, v, attn_mask=near))
    learned(F.scaled_dot_product_attention(q, k, v, attn_mask=near, dropout_p=0.1))
    learned(F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], is_causal=True, enable_gqa=True))
    scores = (q @ k.transpose(-2, -1)) * 8**-0.5
    slopes = 2.0 ** -torch.arange(1, 5)[:, None, None]
    scores = scores - slopes * far.clamp(min=0)
    scores = 50 * torch.tanh(scores / 50)
    mask = torch.triu(torch.ones(TIME, TIME, dtype=torch.bool), 1)
    learned(scores.detach().masked_fill(mask, float("-inf")).softmax(-1) @ v)
    scores = scores.detach()
    weights = torch.softmax(scores + torch.zeros(TIME, TIME).masked_fill_(~near, -1e9), dim=-1)
    learned(F.dropout(weights, 0.1) @ v)
    learned(torch.einsum("bhqk,bhkd->bqhd", torch.tril(scores), v.detach() * x(1)))
    learned(torch.einsum("bthd,hde->bthe", q.transpose(1, 2), x(4, 8, 8)))
    learned(nn.MultiheadAttention(WIDTH, 4, batch_first=True)(x(), x(), x())[0])
    learned(nn.TransformerEncoderLayer(WIDTH, 4, WIDTH, batch_first=True)(x()))
    learned(torch.baddbmm(torch.zeros(1, TIME, TIME), q[:, 0], k[:, 0].mT))
    learned(v.cumsum(2) / torch.arange(1, TIME + 1)[:, None])
    learned(q.unfold(2, 4, 4).sum(-1))


def mixing() -> None:
    y = x(ROWS, WIDTH, TIME)
    learned(F.conv1d(F.pad(y, (2, 0)), x(WIDTH, 1, 3), groups=WIDTH))
    learned(nn.Conv1d(WIDTH, WIDTH, 3, padding=1)(y))
    learned(nn.ConvTranspose1d(WIDTH, WIDTH, 2, 2)(y))
    learned(F.avg_pool1d(y, 2) + F.max_pool1d(y, 2))
    shifted = torch.cat([torch.zeros(ROWS, 1, WIDTH), x()[:, :-1]], 1)
    learned(torch.lerp(x(), shifted, torch.rand(WIDTH)))
    learned(nn.GRU(WIDTH, 8, batch_first=True)(x())[0])
    learned(nn.LSTM(WIDTH, 8, batch_first=True)(x())[0])
    learned(torch.cumprod(torch.sigmoid(x()), 1) + torch.logcumsumexp(x(), 1))
    learned(torch.cummax(x(), 1).values + torch.flip(x(), [1]))


def experts() -> None:
    y, router = x().flatten(0, 1), x(WIDTH, 4)
    scores = F.softmax(y @ router, -1)
    top, picks = scores.topk(2, -1)
    out = torch.zeros_like(y)
    for expert in range(4):
        rows, place = torch.where(picks == expert)
        out = out.index_add(0, rows, y[rows] * top[rows, place, None])
    learned(out)
    scores = scores.detach()
    y, order = x().flatten(0, 1), picks.flatten().argsort() // 2
    learned(y[order].sort(0).values + y.mean() + y.gather(0, order[:, None].expand(-1, WIDTH)))
    learned(y.index_select(0, order) + torch.take_along_dim(y, order[:, None], 0))
    learned(torch.zeros_like(y).scatter(0, order[: len(y), None].expand(-1, WIDTH), y))
    learned(torch.zeros_like(y).scatter_add(0, order[: len(y), None].expand(-1, WIDTH), y))
    learned(y.index_copy(0, torch.arange(3), x(3, WIDTH)))
    counts = torch.bincount(picks.flatten(), minlength=4), F.one_hot(picks, 4).sum(1)
    assert counts[0].sum() == counts[1].sum()
    torch.unique(picks), picks.nonzero(), (picks == 1).any(), (picks == 1).all(), y.argmax(-1)
    learned(y.masked_select(y > 0))
    torch.multinomial(scores.detach(), 1), torch.searchsorted(torch.arange(4.0), y)
    torch.histc(y.detach(), 4), y.kthvalue(2).values, y.median(), y.quantile(0.5)
    F.gumbel_softmax(y)


def losses() -> None:
    logits, targets = x(ROWS * TIME, VOCAB), tokens().flatten()
    learned(F.cross_entropy(logits, targets))
    learned(F.cross_entropy(logits, targets, label_smoothing=0.1, reduction="none"))
    learned(F.cross_entropy(logits, targets, weight=torch.ones(VOCAB), ignore_index=3))
    learned(F.cross_entropy(logits, F.one_hot(targets, VOCAB).float()))
    learned(F.nll_loss(F.log_softmax(15 * torch.tanh(logits / 15), -1), targets))
    learned(logits.logsumexp(-1) - logits.gather(1, targets[:, None])[:, 0])
    learned(F.kl_div(logits.log_softmax(-1), logits.softmax(-1), reduction="batchmean"))
    learned(F.mse_loss(logits, logits.detach()) + F.l1_loss(logits, logits.detach()))
    learned(F.smooth_l1_loss(logits, logits.detach() + 1))
    learned(F.binary_cross_entropy_with_logits(logits, torch.rand_like(logits)))
    learned(F.cosine_similarity(logits, logits.detach()) + logits.logsumexp(1) ** 2 * 1e-4)
    bad = ~torch.isfinite(logits) | logits.isnan() | torch.isinf(logits)
    torch.nan_to_num(logits), bad.sum().item(), torch.allclose(logits, logits)
    flat = F.layer_norm(logits, (VOCAB,)).flatten()
    learned(flat.view(-1, 5).prod(-1) + flat.view(-1, 5).amin(-1) + flat.view(-1, 5).max(-1).values)


def embeddings() -> None:
    table = nn.Embedding(VOCAB, WIDTH)
    learned(F.linear(table(tokens()), table.weight))  # tied
    learned(F.embedding(tokens(), table.weight, scale_grad_by_freq=True))
    learned(table.weight[tokens()] + table(torch.arange(TIME)))
    learned(F.one_hot(tokens(), VOCAB).float() @ table.weight)
    bigrams = (tokens() * 31 + tokens().roll(1, -1)) % (VOCAB - 2)
    learned(table(bigrams ^ 1) + table(torch.bitwise_and(bigrams, 7) | 8))
    learned(nn.Dropout(0.1)(table(tokens())) + nn.Bilinear(3, 4, WIDTH)(x(3), x(4))[None])


def averages() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
    kept = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for name, p in model.named_parameters():
            kept[name].lerp_(p, 0.1)
            kept[name].mul_(0.9).add_(p, alpha=0.1)
        torch._foreach_lerp_(list(kept.values()), list(model.parameters()), 0.1)
        torch._foreach_copy_(list(kept.values()), list(model.parameters()))
        norm = nn.utils.get_total_norm(list(model.parameters()))
        assert math.isfinite(float(norm))
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    average.update_parameters(model)
    average.update_parameters(model)
    model.load_state_dict(average.module.state_dict())
    for p in model.parameters():
        learned(p)
    nn.utils.clip_grad_value_(model.parameters(), 0.1)
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(vector, model.parameters())
    assert str(vector).startswith("tensor")


def starts() -> None:
    p = torch.empty(WIDTH, WIDTH)
    init = nn.init
    for fill in (
        *(init.normal_, init.uniform_, init.trunc_normal_, init.xavier_normal_, init.orthogonal_),
        *(init.xavier_uniform_, init.kaiming_normal_, init.kaiming_uniform_, init.zeros_),
        *(init.ones_, init.eye_),
    ):
        fill(p)
    init.constant_(p, 0.1), init.sparse_(p, 0.1), init.dirac_(torch.empty(4, 4, 3))
    torch.full((3,), 2.0), torch.linspace(0, 1, 5), torch.logspace(0, 1, 5), torch.eye(3)
    torch.tensor([1.0, 2.0]), torch.randperm(5), torch.rand(3), torch.rand_like(p)
    torch.randn_like(p), torch.randint(0, 5, (3,)), torch.bernoulli(torch.rand(3))
    torch.ones(3).expand(2, 3).contiguous(), torch.meshgrid(torch.arange(3), torch.arange(2))
    torch.block_diag(p, p), torch.kron(torch.eye(2), p), torch.vander(torch.arange(3.0))
    torch.empty(3).exponential_(), torch.empty(3).cauchy_(), torch.empty(3).geometric_(0.5)
    torch.normal(torch.zeros(3), torch.ones(3)), torch.poisson(torch.ones(3))
    p.diagonal().fill_(1.0), p.t_(), p.bool(), p.double(), p.half(), p.long(), p.to(torch.int32)
    p.numpy(), p.tolist(), p[0, 0].item(), len(p), bool(p.sum() > 0), p.clone(), p.fill_(0.0)


def precision() -> None:
    layer = nn.Linear(WIDTH, WIDTH).bfloat16()
    learned(layer(x().bfloat16()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learned(nn.Linear(WIDTH, WIDTH)(x()))
        q = x(ROWS, 2, TIME, 8)
        learned(F.scaled_dot_product_attention(q, q, q))
    learned(nn.Linear(WIDTH, WIDTH).double()(x().double()))


def transforms() -> None:
    layer = nn.Linear(WIDTH, WIDTH)
    learned(torch.utils.checkpoint.checkpoint(layer, x(), use_reentrant=False))
    learned(torch.vmap(layer)(x()))
    params: dict[str, Tensor] = dict(layer.named_parameters())

    def loss(given: dict[str, Tensor]) -> Any:
        return torch.func.functional_call(layer, given, (x().detach(),)).sum()

    torch.func.grad(loss)(params)
    torch.autograd.grad(layer(x()).sum(), list(layer.parameters()))
    a = x(3, 3)
    (grad,) = torch.autograd.grad(a.pow(3).sum(), a, create_graph=True)
    grad.sum().backward()
    parts = torch.split(x(), 8, -1)
    learned(torch.cat(parts, -1) + torch.hstack(list(x().unbind(1)))[..., :WIDTH, None].mean())
    learned(x().permute(1, 0, 2).reshape(TIME, -1).narrow(1, 0, 4).movedim(0, 1).squeeze())
    learned(x().repeat(1, 1, 2).swapaxes(0, 1).select(0, 1).unsqueeze(0).expand(2, -1, -1))
    learned(torch.tensordot(x(), x(WIDTH, 4), 1) + torch.inner(x(), x(4, WIDTH)))
    learned(torch.fft.irfft(torch.fft.rfft(x(), dim=1), n=TIME, dim=1))


EDITS: dict[str, Edit] = {
    **dict(optimisers()),
    **{
        edit.__name__: edit
        for edit in (
            *(lion, muon, shampoo, norms, activations, rotary, attention, mixing, experts),
            *(losses, embeddings, averages, starts, precision, transforms),
        )
    },
}
