"""The script that searches edit: what they rely on, and its own mathematics."""

from __future__ import annotations

import ast

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from bilevel.tasks.cpu_gpt.fit_cost import load_script
from bilevel.tasks.cpu_gpt.identity import SCRIPT

BASELINE = {
    "ASPECT_RATIO": 64,
    "HEAD_DIM": 64,
    "WINDOW_PATTERN": "SSSL",
    "TOTAL_BATCH_SIZE": 2**13,
    "EMBEDDING_LR": 0.6,
    "UNEMBEDDING_LR": 0.004,
    "MATRIX_LR": 0.04,
    "SCALAR_LR": 0.5,
    "WEIGHT_DECAY": 0.2,
    "ADAM_BETAS": (0.8, 0.95),
    "WARMUP_RATIO": 0.0,
    "WARMDOWN_RATIO": 0.5,
    "FINAL_LR_FRAC": 0.0,
    "DEPTH": 2,
    "DEVICE_BATCH_SIZE": 16,
}
SMALL = {"DEPTH": 2, "ASPECT_RATIO": 16, "HEAD_DIM": 8, "LOSS_ROWS": 8}


def literal(node: ast.expr) -> object:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, power = literal(node.left), literal(node.right)
        assert isinstance(base, int)
        assert isinstance(power, int)
        return base**power
    return ast.literal_eval(node)


def test_every_constant_is_a_top_level_literal_at_the_baseline() -> None:
    found = {}
    body = ast.parse(SCRIPT.read_text()).body[1:]  # after the docstring
    while isinstance(body[0], (ast.Import, ast.ImportFrom)):
        body.pop(0)
    for node in body[: len(BASELINE)]:
        assert isinstance(node, ast.Assign)
        assert isinstance(node.targets[0], ast.Name)
        found[node.targets[0].id] = literal(node.value)
    assert found == BASELINE


def test_the_script_is_short_enough_to_show_to_a_model() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 330


def test_the_loss_is_the_cross_entropy_of_the_logits_with_its_gradients() -> None:
    script = load_script(SMALL)
    torch.manual_seed(0)
    model = script.GPT(50, 16)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    tokens, targets = torch.randint(50, (3, 16)), torch.randint(50, (3, 16))
    loss = model.loss(tokens, targets)
    loss.backward()
    gradients = [p.grad for p in model.parameters()]
    model.zero_grad()
    expected = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, p.grad, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("operation", ["RMSNorm", "SquaredReLU"])
def test_written_out_backward_passes_are_right(operation: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(getattr(load_script({}), operation).apply, (x,))


@pytest.mark.parametrize("pattern", ["SSSL", "L", "S"])
def test_predictions_do_not_see_later_tokens(pattern: str) -> None:
    script = load_script(SMALL | {"WINDOW_PATTERN": pattern})
    torch.manual_seed(0)
    model = script.GPT(50, 16)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    tokens = torch.randint(50, (2, 16))
    other = tokens.clone()
    other[:, 9:] = 7
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :9], model(other)[:, :9])


def test_the_orthogonal_update_has_singular_values_near_one() -> None:
    script = load_script({})
    torch.manual_seed(0)
    for shape in ((2, 12, 12), (3, 24, 8), (1, 8, 24)):
        values = torch.linalg.svdvals(script.Muon.orthogonal(torch.randn(shape)))
        assert values.max() < 1.4
        assert values.median() > 0.6


@pytest.mark.parametrize(
    ("total", "device", "expected"),
    [(2**13, 16, (16, 4)), (2**9, 16, (4, 1)), (2**7, 16, (1, 1)), (2**11, 1, (1, 16))],
)
def test_the_micro_batch_shrinks_to_fit(total: int, device: int, expected: tuple[int, int]) -> None:
    script = load_script({"TOTAL_BATCH_SIZE": total, "DEVICE_BATCH_SIZE": device})
    assert script.micro_batches(128) == expected


@pytest.mark.parametrize("total", [100, 5000])
def test_a_batch_that_sequences_do_not_divide_is_refused(total: int) -> None:
    script = load_script({"TOTAL_BATCH_SIZE": total})
    with pytest.raises(ValueError, match=f"TOTAL_BATCH_SIZE={total} is not a multiple"):
        script.micro_batches(128)


def test_learning_rates_rise_stay_and_fall() -> None:
    script = load_script({"WARMUP_RATIO": 0.2, "WARMDOWN_RATIO": 0.4, "FINAL_LR_FRAC": 0.1})
    scale = script.lr_scale
    assert [scale(p) for p in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert [scale(p) for p in (0.8, 1.0)] == pytest.approx([0.55, 0.1])
    assert load_script({"WARMDOWN_RATIO": 0.0}).lr_scale(1.0) == 1.0
