"""Prices of operations: what is on the list, what it costs, and that nothing is beside the book."""

# mypy: allow-untyped-calls

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds
from bilevel.tasks.cpu_gpt.identity import SCRIPT
from bilevel.tasks.cpu_gpt.job import start
from bilevel.tasks.cpu_gpt.meter import count_operation
from bilevel.tasks.cpu_gpt_code import counting, operations, prices
from bilevel.tasks.cpu_gpt_code.books import COUNTS, streams
from bilevel.tasks.cpu_gpt_code.counting import Counter, table
from bilevel.tasks.cpu_gpt_code.served import RunMeter, ServedJob
from tests.tasks.cpu_gpt_code.honest import EDITS

TABLE = table()
WORDS = 101


class Over(Exception):
    """What ends a run in a process of its own."""


def end(message: dict[str, Any]) -> None:
    raise Over(message)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def counted(run: Callable[[], object]) -> dict[str, int]:
    counter = Counter(TABLE, streams(), end)
    with counter:
        run()
    return dict(counter.ask((COUNTS,))["counts"])


class AsCpuGpt(TorchDispatchMode):
    """What `cpu_gpt` counts, and where it counts more for one operation than the book does."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = dict.fromkeys(FEATURES, 0)
        self.cheaper: dict[str, tuple[float, float]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.namespace == "bilevel":
            self.counts["calls"] += func is torch.ops.bilevel.batch.default
            return out
        theirs = dict.fromkeys(FEATURES, 0)
        for feature, amount in count_operation(func, args, kwargs or {}, out):
            theirs[feature] += amount
            self.counts[feature] += amount
        self.counts["calls"] += 1
        ours = dict.fromkeys(FEATURES, 0)
        for feature, amount in TABLE[id(func)][2](args, kwargs or {}, out):
            ours[feature] += amount
        if seconds(ours) < seconds(theirs):
            self.cheaper[func.name()] = seconds(ours), seconds(theirs)
        return out


# What `cpu_gpt` charges for more than is computed: a whole convolution for each group
DEARER_THERE = {"aten::convolution_backward"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("edit", EDITS)
def test_honest_edits_use_what_is_on_the_list_and_nothing_is_cheaper(edit: str) -> None:
    theirs = AsCpuGpt()

    def both() -> None:
        with warnings.catch_warnings(), theirs:
            EDITS[edit]()

    counts = counted(both)
    assert set(theirs.cheaper) <= DEARER_THERE, theirs.cheaper
    assert counts["calls"] == theirs.counts["calls"] > 0


def test_the_unedited_script_costs_what_it_does_in_cpu_gpt() -> None:
    """To the last byte, its product in place included."""
    meter = RunMeter(1.2, closed=False)
    job = ServedJob(3, WORDS, 128, meter)
    rng = np.random.default_rng(0)

    def serve(rows: int, used_s: float, calls: int) -> tuple[Tensor, int]:
        tokens = rng.integers(0, WORDS, (rows, 129))
        return torch.from_numpy(tokens), rows * 128 * WORDS * operations.ALLOWED_WIDTH

    counter, theirs = Counter(TABLE, streams(), end, serve), AsCpuGpt()
    start(job)
    with counter, theirs:
        exec(compile(SCRIPT.read_text(), "train.py", "exec"), {"__name__": "__main__"})
    account = counter.ask((COUNTS,))
    assert account["counts"] == theirs.counts
    assert account["steps"] == meter.steps > 1
    assert not theirs.cheaper


def test_more_products_in_place_than_the_unedited_script_has_are_products() -> None:
    def run() -> None:
        torch.zeros(8, 8).addmm_(torch.ones(8, 8), torch.ones(8, 8))

    assert counted(run)["mm_macs"] == 512


A, B = torch.ones(2, 3), torch.ones(3, 4)
WIDE = torch.ones(1, 2, 5, 4)


@pytest.mark.parametrize(
    ("run", "feature", "amount"),
    [
        (lambda: A @ B, "mm_macs", 24),
        (lambda: torch.addmm(torch.ones(4), A, B), "mm_macs", 24),
        (lambda: torch.bmm(A[None], B[None]), "mm_macs", 24),
        (lambda: torch.bmm(torch.ones(2, 2, 3), torch.ones(2, 3, 4)), "bmm_macs", 48),
        (lambda: torch.einsum("ij,jk->ik", A, B), "mm_macs", 24),
        (lambda: torch.addbmm(torch.ones(2, 4), A[None], B[None]), "mm_macs", 24),
        (lambda: A.double() @ B.double(), "mm_macs", 48),
        (lambda: A.to(torch.complex64) @ B.to(torch.complex64), "mm_macs", 96),
        (lambda: nn.functional.conv1d(torch.ones(1, 4, 9), torch.ones(6, 2, 3), groups=2),
         "mm_macs", 6 * 7 * 2 * 3),
        (lambda: nn.functional.conv_transpose1d(torch.ones(1, 4, 9), torch.ones(4, 6, 2)),
         "mm_macs", 4 * 9 * 6 * 2),
        (lambda: torch._trilinear(A, B, torch.ones(3), [2], [0], [0, 2], [1]), "bmm_macs", 48),
        (lambda: nn.functional.scaled_dot_product_attention(WIDE, WIDE, WIDE),
         "bmm_macs", 2 * 2 * 5 * 5 * 4),
        (lambda: nn.functional.scaled_dot_product_attention(WIDE, WIDE, WIDE),
         "softmax_bytes", 2 * 5 * 5 * 8),
        (lambda: torch.linalg.inv(torch.eye(8)), "mm_macs", 8 * 512),
        (lambda: torch.exp2(A), "softmax_bytes", 48),
        (A.t, "bytes", 0),
    ],
)  # fmt: skip
def test_work_is_priced_by_its_arithmetic(
    run: Callable[[], object], feature: str, amount: int
) -> None:
    assert counted(run)[feature] == amount


def through_a_hook(a: Tensor) -> None:
    a.register_hook(lambda grad: grad @ grad)
    a.sum().backward()


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad @ grad


def through_saved_tensors(a: Tensor) -> None:
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t @ t, lambda t: t):
        (a * a).sum().backward()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "run",
    [
        through_a_hook,
        lambda a: Squared.apply(a).sum().backward(),
        through_saved_tensors,
        lambda a: torch.vmap(lambda row: row @ a.detach())(a.detach()),
        lambda a: torch.func.grad(lambda b: (b @ b).sum())(a.detach()),
        lambda a: torch.jit.trace(lambda b: b @ b, a.detach())(a.detach()),
        lambda a: torch.jit.wait(torch.jit.fork(torch.mm, a, a)),
        lambda a: torch.utils.checkpoint.checkpoint(torch.mm, a, a, use_reentrant=True),
        lambda a: torch.ops.aten.mm.default(a, a),
        lambda a: torch._C._VariableFunctions.mm(a, a),
    ],
)
def test_work_counts_wherever_it_is_done(run: Callable[[Tensor], object]) -> None:
    counts = counted(lambda: run(torch.ones(8, 8, requires_grad=True)))
    assert counts["mm_macs"] + counts["bmm_macs"] >= 512


@pytest.mark.parametrize(
    ("run", "told", "instead"),
    [
        (lambda: torch.cdist(A, A), "aten._cdist_forward", "torch.matmul"),
        (lambda: torch._int_mm(*[torch.ones(32, 32, dtype=torch.int8)] * 2), "_int_mm", "matmul"),
        (lambda: torch.special.bessel_j0(A), "special_bessel_j0", "nearest that is on it is"),
        (A.to_sparse, "aten._to_sparse", "nearest"),
        (lambda: torch.special.i0e(A), "special_i0e", "nearest"),
    ],
)
def test_what_is_not_on_the_list_is_refused_by_name(
    run: Callable[[], object], told: str, instead: str
) -> None:
    with pytest.raises(Over) as found:
        counted(run)
    message = found.value.args[0]
    assert told in message["unlisted"]
    assert instead in message["instead"]


def test_every_name_on_the_list_is_an_operation_once() -> None:
    """A misspelt name would refuse what it was meant to allow."""
    named = [name for names, _ in prices.CLASSES for name in names]
    named += [*operations.INDEXED_WRITE, *operations.FACTORED, *prices.PRODUCTS]
    assert len(named) == len(set(named))
    known = {whole.partition("::")[2].partition(".")[0] for whole in _all()}
    bare = {name.removeprefix("_foreach_").removeprefix("_fused_").rstrip("_") for name in known}
    assert not {name for name in named if name not in known | bare}
    views = [TABLE[id(op)][0] for op in _views()]
    assert {op._overloadpacket.__name__ for op in views} <= set(operations.FREE)


def _all() -> list[str]:
    return [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]


def _views() -> Iterator[Any]:
    for op, *_ in TABLE.values():
        returns = op._schema.returns
        if returns and all(r.alias_info and not r.alias_info.is_write for r in returns):
            yield op


@pytest.mark.parametrize(
    "pick",
    [
        lambda: torch.default_generator.manual_seed(7),
        lambda: torch.default_generator.set_state(torch._C.Generator().get_state()),
        lambda: torch.rand(3, generator=torch._C.Generator()),
        lambda: (torch.rand(3), torch.default_generator.seed()),
    ],
)
def test_a_generator_that_was_set_is_noticed_at_the_next_draw(pick: Callable[[], object]) -> None:
    def run() -> None:
        pick()
        nn.init.normal_(torch.empty(3))

    with pytest.raises(Over) as found:
        counted(run)
    assert "seeded" in found.value.args[0]


def test_a_stream_may_go_on_or_begin_again() -> None:
    first = torch.get_rng_state()

    def run() -> None:
        torch.rand(3), nn.functional.dropout(torch.ones(9)), torch.randperm(5)
        torch.set_rng_state(first)
        torch.rand(3)
        torch.empty(5).normal_()

    assert counted(run)["slow_bytes"] > 0


def test_more_than_the_budget_ends_it_with_the_account() -> None:
    counter = Counter(TABLE, streams(), end, most_s=1e-5)
    with pytest.raises(Over) as found, counter:
        A.neg().neg().neg()
    assert found.value.args[0]["over"] > 1e-5
    assert found.value.args[0]["counts"]["calls"] == 2


def test_without_a_counter_nothing_is_served() -> None:
    job = ServedJob(3, WORDS, 128, RunMeter(1.0, closed=False))
    with pytest.raises(NotImplementedError, match="bilevel::batch"):
        job.batch(2)
    with pytest.raises(NotImplementedError, match="bilevel::used"):
        next(iter(job.meter))
    assert counting.GRACE < 0.1
