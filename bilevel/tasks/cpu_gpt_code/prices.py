"""What one operation costs in the features of the cost model, from the closed list and its shapes.

Everything here is looked up once, before a script runs: a script may replace what it can name, and
this goes by what was held before.
"""

from __future__ import annotations

import builtins
import difflib
from collections.abc import Callable, Iterable, Mapping
from math import ceil, log2, prod
from typing import Any

import torch
from torch import Tensor

from bilevel.tasks.cpu_gpt_code import operations as listed

# Its own: what a script puts in their place changes nothing here
globals()["__builtins__"] = dict(vars(builtins))

Amounts = tuple[tuple[str, int], ...]
Price = Callable[[tuple[Any, ...], Mapping[str, Any], Any], Amounts]

_BASE = torch._C.TensorBase
_BYTES = _BASE.nbytes.__get__  # type: ignore[attr-defined]
_SHAPE = _BASE.shape.__get__  # type: ignore[attr-defined]
_ITEMSIZE = _BASE.element_size
_COMPLEX = _BASE.is_complex
_PLAIN = frozenset({int, float, bool, str, complex, type(None), torch.dtype, torch.device})
_FLOAT = 4  # bytes of the numbers that the rates were fitted on


def _touched(tree: Any) -> int:
    """Bytes of all tensors in arguments or results."""
    kind = type(tree)
    if kind is Tensor or kind is torch.nn.Parameter:
        return int(_BYTES(tree))
    if kind in _PLAIN:
        return 0
    if kind is tuple or kind is list:
        return sum(map(_touched, tree))
    if kind is dict:
        return sum(map(_touched, tree.values()))
    return int(_BYTES(tree)) if _BASE in kind.__mro__ else 0


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(_SHAPE(tensor))


def _macs(amount: int, like: Tensor) -> int:
    """Return multiply-accumulates of real numbers: a product of complex ones takes four, double
    precision twice the time."""
    size = _ITEMSIZE(like)
    times = 4 * size // (2 * _FLOAT) if _COMPLEX(like) else max(1, size // _FLOAT)
    return amount * times


def _free(*_: Any) -> Amounts:
    return ()


def at(feature: str) -> Price:
    """Return a price in `feature`: all bytes of arguments and results."""
    return lambda args, kwargs, out: ((feature, _touched(args) + _touched(kwargs) + _touched(out)),)


def _picked(_: Any, __: Any, out: Any) -> Amounts:
    return (("bytes", 2 * _touched(out)),)


def written(in_place: bool) -> Price:
    """Return the price of a write: in place, the overwritten bytes are not counted; a copy's
    are, in full."""

    def price(args: Any, kwargs: Any, out: Any) -> Amounts:
        given = _touched(args) + _touched(kwargs)
        return (("bytes", given - _touched(out) if in_place else given + _touched(out)),)

    return price


def pool(args: Any, _: Any, out: Any) -> Amounts:
    return (("bytes", _touched(args[0]) + _touched(out) * prod(args[1])),)


def _product(name: str, *, batched: bool = False) -> Price:
    """Return the price of a product of two matrices, or two batches of them."""

    def price(args: Any, _: Any, __: Any) -> Amounts:
        first, second = args[1:3] if name.startswith(("add", "badd")) else args[:2]
        amount = _macs(prod(_shape(first)) * _shape(second)[-1], first)
        return (("bmm_macs" if batched and _shape(first)[0] > 1 else "mm_macs", amount),)

    return price


def _convolution(args: Any, _: Any, out: Any) -> Amounts:
    return (("mm_macs", _convolved(args[0], args[1], _shape(out), args[6])),)


def _convolution_backward(args: Any, _: Any, __: Any) -> Amounts:
    grad, given, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    times = sum(map(bool, wanted[:2]))
    return (("mm_macs", times * _convolved(given, weight, _shape(grad), transposed)),)


def _convolved(given: Tensor, weight: Tensor, made: tuple[int, ...], transposed: bool) -> int:
    pairs = prod(_shape(weight)) // _shape(weight)[0]  # of one channel with its whole kernel
    return _macs(prod(_shape(given) if transposed else made) * pairs, weight)


def _attention(products: int, first: int) -> Price:
    """Return the price of the fused kernel: its products and the exponential of every score.
    `first` is the position of the query among the arguments."""

    def price(args: Any, _: Any, __: Any) -> Amounts:
        query, key, value = args[first : first + 3]
        scores = prod(_shape(query)[:-1]) * _shape(key)[-2]
        widths = (_shape(query)[-1] + _shape(value)[-1]) * products // 2
        return ("bmm_macs", _macs(scores * widths, query)), ("softmax_bytes", 2 * _FLOAT * scores)

    return price


def _recurrent(times: int) -> Price:
    def price(args: Any, _: Any, __: Any) -> Amounts:
        given, into, along = args[:3]
        steps = prod(_shape(given)[:-1])
        weights = prod(_shape(into)) + prod(_shape(along))
        return (("mm_macs", _macs(times * steps * weights, given)),)

    return price


def _trilinear(args: Any, _: Any, out: Any) -> Amounts:
    shapes = []
    for tensor, places in zip(args[:3], args[3:6], strict=True):
        wide = list(_shape(tensor))
        for place in sorted(places):
            wide.insert(place, 1)
        shapes.append(wide)
    amount = _macs(2 * prod(map(max, zip(*shapes, strict=True))), args[0])
    return ("bmm_macs", amount), ("bytes", _touched(args) + _touched(out))


def _factored(times: int) -> Price:
    def price(args: Any, kwargs: Any, out: Any) -> Amounts:
        total = 0
        for tensor in args:
            if type(tensor) is Tensor and len(_shape(tensor)) > 1:
                *batch, rows, columns = _shape(tensor)
                amount = prod(batch) * rows * columns * min(rows, columns)
                total = max(total, _macs(times * amount, tensor))
        moved = _touched(args) + _touched(kwargs) + _touched(out)
        return ("mm_macs", total), ("slow_bytes", moved)

    return price


def _fourier(args: Any, kwargs: Any, out: Any) -> Amounts:
    longest = max((*_shape(args[0]), *_shape(out)), default=1)
    moved = _touched(args) + _touched(kwargs) + _touched(out)
    return (("slow_bytes", moved * max(1, ceil(log2(longest) / 4))),)


PRODUCTS: dict[str, Price] = {
    "mm": _product("mm"),
    "addmm": _product("addmm"),
    **{name: _product(name, batched=True) for name in ("bmm", "baddbmm")},
    "addbmm": _product("addbmm"),
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "_scaled_dot_product_flash_attention_for_cpu": _attention(2, 0),
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention(5, 1),
    "mkldnn_rnn_layer": _recurrent(1),
    "mkldnn_rnn_layer_backward": _recurrent(3),
    "_trilinear": _trilinear,
}
CLASSES: tuple[tuple[Iterable[str], Price], ...] = (
    (listed.FREE, _free),
    (listed.BYTES, at("bytes")),
    (listed.INDEXED, _picked),
    (listed.EXPONENTIAL, at("softmax_bytes")),
    ((*listed.SLOW, *listed.RANDOM), at("slow_bytes")),
    (listed.POOLS, pool),
    (listed.FOURIER, _fourier),
)
_BY_NAME: dict[str, Price] = {
    **{name: price for names, price in CLASSES for name in names},
    **{name: _factored(times) for name, times in listed.FACTORED.items()},
    **PRODUCTS,
}


def price_of(name: str, space: str = "aten") -> Price | None:
    """Return the price of an operation, in place or not; None for one that is not on the list."""
    if space != "aten":
        return _free if space == "profiler" and name in listed.MARKS else None
    base = name.removesuffix("_")
    if base in listed.INDEXED_WRITE:
        return written(in_place=base != name)
    if base in listed.FREE and base != name:
        return at("bytes")  # as `cpu_gpt` charges what turns a tensor into a view of itself
    for prefix in ("_foreach_", "_fused_"):
        base = base.removeprefix(prefix)
    if name.startswith("_foreach_") and base in PRODUCTS:
        return None
    return _BY_NAME.get(name) or _BY_NAME.get(base)


def instead(name: str) -> str:
    """Return what to use instead of an operation that is not on the list."""
    if name in listed.INSTEAD:
        return listed.INSTEAD[name]
    near = difflib.get_close_matches(name.removesuffix("_"), _BY_NAME, n=1, cutoff=0)
    return f"the nearest that is on it is {near[0]}; write the computation with listed operations"
