"""Scripts that compute more than they are charged for, written by somebody who read the evaluator.

Each replaces `mul`, the one product that a small model is made of, or hides whole steps. What it
gains are steps: the script prints how many it really took.
"""

import textwrap
from dataclasses import dataclass

BEGIN = """
import torch
from torch import nn
from bilevel.tasks.cpu_gpt.job import current_job
job = current_job()
torch.manual_seed(job.seed)
mul = torch.mm

class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return mul(a, b)
    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return mul(grad, b.t()), mul(a.t(), grad)

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(job.vocab_size, 256))
        self.layers = nn.ParameterList(nn.Parameter(torch.randn(256, 256) / 16) for _ in range(6))
        self.head = nn.Parameter(torch.zeros(256, job.vocab_size))
    def forward(self, tokens):
        x = self.embedding[tokens].flatten(0, 1)
        for layer in self.layers:
            x = Product.apply(x, layer).relu()
        return Product.apply(x, self.head).view(*tokens.shape, -1)

def loss_of(model, rows=4):
    inputs, targets = job.batch(rows)
    return nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

def update(model):
    with torch.no_grad():
        for p in model.parameters():
            p.sub_(p.grad, alpha=0.1)
            p.grad = None

def step(model):
    loss_of(model).backward()
    update(model)

model, real = Wide(), 0
"""
LOOP = """
for _ in job.meter:
    step(model)
    real += 1
print("really", real)
job.hand_over(model)
"""


@dataclass(frozen=True)
class Attack:
    """What is put before the loop; the loop; and what its verdict says, or None where it is charged
    honestly instead."""

    before: str
    told: str | None
    loop: str = LOOP
    budget_s: float = 0.3

    @property
    def script(self) -> str:
        return BEGIN + textwrap.dedent(self.before) + textwrap.dedent(self.loop)


def around(guard: str, before: str = "") -> str:
    """A product inside of a context that takes the counter away."""
    return f"{before}\ndef mul(a, b):\n    with {guard}:\n        return torch.mm(a, b)\n"


ATTACKS = {
    "a trilinear form in place of a product": Attack(
        """
        def mul(a, b):
            ones = torch.ones(a.shape[1])
            return torch._trilinear(a, b, ones, [2], [0], [0, 2], [1])
        """,
        None,
    ),
    "modes taken away around the backward pass": Attack(
        """
        from torch.utils._python_dispatch import _disable_current_modes
        def step(model):
            loss = loss_of(model)
            with _disable_current_modes():
                loss.backward()
            update(model)
        """,
        None,
    ),
    "the counter's fields": Attack(
        """
        def step(model, plain=step):
            kept = dict(job.meter._counter.counts)
            plain(model)
            job.meter._counter.counts.update({k: v + 1 for k, v in kept.items()})
        """,
        "AttributeError: 'RunMeter' object has no attribute '_counter'",
    ),
    "the generator's own seed": Attack(
        "torch.default_generator.manual_seed(7)\nmodel = Wide()\n",
        "drew from a random generator whose state was set",
    ),
    "a generator of the C library's class": Attack(
        "g = torch._C.Generator(); g.manual_seed(7)\ntorch.randn(3, generator=g)\n",
        "drew from a random generator whose state was set",
    ),
    "a tensor class of its own": Attack(
        """
        class Hiding(torch.Tensor):
            @staticmethod
            def __new__(cls, inner):
                made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
                made.inner = inner
                return made
            @classmethod
            def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
                return torch.mm(args[0].inner, cls.other)
        def mul(a, b):
            Hiding.other = b
            return torch.neg(Hiding(a))
        """,
        "a tensor of the class Hiding",
    ),
    "kernels called below the counter": Attack(
        """
        below = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
        def mul(a, b):
            return torch.ops.aten.mm.default.redispatch(below, a.detach(), b.detach())
        """,
        "redispatch would compute or look beside the counter",
    ),
    "a dispatch key taken away": Attack(
        around(
            "torch._C._ExcludeDispatchKeyGuard(keys)",
            "keys = torch._C.DispatchKeySet(torch._C.DispatchKey.Python)",
        ),
        "_ExcludeDispatchKeyGuard would compute or look beside the counter",
    ),
    "dispatch to Python switched off": Attack(
        around("torch._C._DisableTorchDispatch()"),
        "_DisableTorchDispatch would compute or look beside the counter",
    ),
    "the same by another name": Attack(
        around("no_dispatch()", "from torch.utils._mode_utils import no_dispatch"),
        "_DisableTorchDispatch would compute or look beside the counter",
    ),
    "a kernel replaced by Python": Attack(
        """
        library = torch.library.Library("aten", "IMPL")
        library.impl("neg", lambda a: torch.mm(a, neg.other), "CPU")
        class neg: pass
        def mul(a, b):
            neg.other = b
            return torch.neg(a)
        """,
        "a kernel for aten would compute or look beside the counter",
    ),
    "an operation of its own in numpy": Attack(
        """
        from torch.library import custom_op
        @custom_op("mine::mul", mutates_args=())
        def mul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(a.detach().numpy() @ b.detach().numpy())
        """,
        "_AutoDispatchBelowAutograd would compute or look beside the counter",
    ),
    "a thread, where no counter is": Attack(
        """
        import threading
        def mul(a, b):
            made = []
            one = threading.Thread(target=lambda: made.append(torch.mm(a.detach(), b.detach())))
            one.start(), one.join()
            return made[0]
        """,
        "a thread .* would compute or look beside the counter",
    ),
    "a product in place, at the price of bytes": Attack(
        "def mul(a, b):\n    return torch.zeros(len(a), b.shape[1]).addmm_(a, b)\n", None
    ),
    "a sum of products": Attack(
        "def mul(a, b):\n    return torch.addbmm(torch.zeros(1, 1), a[None], b[None])\n", None
    ),
    "the fused kernel of attention": Attack(
        """
        def mul(a, b):
            keys = b.detach().t().contiguous()[None, None]
            torch.nn.functional.scaled_dot_product_attention(a.detach()[None, None], keys, keys)
            return a.new_zeros(len(a), b.shape[1])
        """,
        None,
    ),
    "two products in one of complex numbers": Attack(
        """
        def mul(a, b):
            half = len(a) // 2
            both = torch.mm(torch.complex(a[:half], a[half:2 * half]), torch.complex(b, b * 0))
            rest = torch.mm(a[2 * half:], b)
            return torch.cat([both.real, both.imag, rest])
        """,
        None,
    ),
    "prices patched": Attack(
        """
        from bilevel.tasks.cpu_gpt import cost, meter
        from torch.utils.flop_counter import flop_registry
        import builtins, math
        flop_registry[torch.ops.aten.mm] = lambda *_, **__: 0
        meter.count_operation = lambda *_: ()
        cost.seconds = meter.seconds = lambda _: 1e-9
        torch.Tensor.nbytes = property(lambda _: 0)
        plain, math.prod = math.prod, lambda *_: 0
        real_sum, builtins.sum = sum, lambda *_: 0
        """,
        None,
        LOOP + "math.prod, builtins.sum = plain, real_sum\n",
    ),
    "a mode that answers for shapes": Attack(
        """
        from torch.overrides import TorchFunctionMode
        class Lies(TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                name = getattr(func, "__name__", "")
                if name in ("numel", "element_size"):
                    return 0
                if name == "__get__" and "nbytes" in str(getattr(func, "__self__", "")):
                    return 0
                return func(*args, **(kwargs or {}))
        def step(model, plain=step):
            with Lies():
                plain(model)
        """,
        None,
    ),
    "the counter found among all objects": Attack(
        """
        import gc
        def step(model, plain=step):
            found = [o for o in gc.get_objects() if type(o).__name__ == "Counter"]
            plain(model)
            for one in found:
                one.counts = dict.fromkeys(one.counts, 0)
        """,
        "gc.get_objects .looks for the counter. would compute or look",
    ),
    "a finaliser, run while the counter counts": Attack(
        """
        import gc
        class Late:
            def __init__(self):
                self.me = self
            def __del__(self):
                made.append(torch.mm(*given))
        made, given = [], ()
        def mul(a, b):
            global given
            given = a.detach(), b.detach()
            made.clear()
            Late()
            gc.set_threshold(1)
            for _ in range(50):
                if made:
                    break
                torch.zeros(1).neg_()
            gc.set_threshold(700)
            return made[0] if made else torch.mm(a, b)
        """,
        None,
    ),
    "machine code": Attack(
        """
        import ctypes, numpy as np
        blas = ctypes.CDLL(next(p for p in __import__("glob").glob(
            np.__path__[0] + "/../numpy.libs/*openblas*")))
        raise SystemExit("loaded")
        """,
        "ctypes.dlopen .calls machine code. would compute or look",
    ),
    "a process": Attack("import os\nos.fork()\n", "os.fork .starts a process. would compute"),
    "the book's frame": Attack(
        """
        try:
            torch.mm(torch.ones(2), torch.ones(2))
        except RuntimeError as error:
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            ask = at.tb_frame.f_locals["ask"]
        print(ask.__self__.gi_frame.f_locals)
        """,
        "gi_frame .looks for the counter. would compute or look",
    ),
    "the book asked by the script itself": Attack(
        """
        try:
            torch.mm(torch.ones(2), torch.ones(2))
        except RuntimeError as error:
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            ask = at.tb_frame.f_locals["ask"]
        def step(model, plain=step):
            plain(model)
            for what in range(5):
                ask((what, (), {}, None)) if what else None
        """,
        None,
    ),
    "what the frames below hold": Attack(
        """
        import sys
        at, names = sys._getframe(), set()
        while at.f_back:
            at = at.f_back
            if at.f_code.co_filename != "train.py":
                names |= set(at.f_locals)
        assert not names & {"counter", "listed", "streams", "end", "ask", "channel", "order"}, names
        """,
        None,
    ),
    "what functions by name enclose": Attack(
        """
        import sys
        from bilevel.tasks import cpu_gpt_code
        assert not {"counting", "seat", "prices"} & set(vars(cpu_gpt_code)), vars(cpu_gpt_code)
        held = [torch._C._pop_torch_dispatch_stack, torch._C._dispatch_library, job.batch.__func__]
        for function in held:
            for cell in function.__closure__ or ():
                kind = type(cell.cell_contents).__name__
                assert kind in ("builtin_function_or_method", "str"), kind
        """,
        None,
    ),
    "a trace function": Attack(
        "import sys\nsys.settrace(lambda *_: None)\n", "sys.settrace .watches the counter."
    ),
    "kernels that a compiler fuses": Attack(
        """
        torch.jit.enable_onednn_fusion(True)
        raise SystemExit("enabled")
        """,
        "_jit_set_llga_enabled would compute or look beside the counter",
    ),
    "a handler, run while the counter counts": Attack(
        """
        import signal
        signal.signal(signal.SIGALRM, lambda *_: [torch.ones(999, 999) @ torch.ones(999, 999)])
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        """,
        "a signal .signal. would compute or look beside the counter",
    ),
    "work while the weights are told": Attack(
        """
        def state_dict(self, *args, plain=nn.Module.state_dict, **kwargs):
            for _ in range(99 if real else 0):
                step(self)
            return plain(self, *args, **kwargs)
        Wide.state_dict = state_dict
        """,
        "over the budget: stopped after",
    ),
    "products in numpy": Attack(
        """
        import numpy as np
        def mul(a, b):
            return torch.from_numpy(a.detach().numpy() @ b.detach().numpy())
        """,
        "more processor time than 1.5 times what the unedited script takes",
        budget_s=3.0,
    ),
    "learning while answering": Attack(
        """
        def forward(self, tokens, plain=Wide.forward):
            if self.handed:
                with torch.enable_grad():
                    for _ in range(3):
                        logits = plain(self, tokens)
                        target = tokens.roll(-1, 1).flatten()
                        nn.functional.cross_entropy(logits.flatten(0, 1), target).backward()
                        update(self)
            return plain(self, tokens)
        Wide.forward, Wide.handed = forward, False
        """,
        "forward and backward take at least",
        LOOP + "Wide.handed = True\n",
    ),
}
