"""The training seed goes where a script holds its own, in the forms that scripts are written in."""

import pytest

from bilevel.errors import ConfigError
from bilevel.tasks.seeds import Seeding

NANOGPT = """\
# ruff: é
if ddp:
    seed_offset = ddp_rank  # each process gets a different seed
else:
    seed_offset = 0
torch.manual_seed(1337 + seed_offset)
torch.cuda.manual_seed(1337+seed_offset); torch.backends.cuda.matmul.allow_tf32 = True
"""
CLEANRL = '''\
@dataclass
class Args:
    exp_name: str = os.path.basename(__file__)[: -len(".py")]
    seed: int = 1
    """seed of the experiment"""
    torch_deterministic: bool = True
    num_envs: int = 4

args = tyro.cli(Args)
random.seed(args.seed)
'''
CLEANRL_ARGPARSE = """\
parser.add_argument("--seed", type=int, default=1, help="seed of the experiment")
parser.add_argument("--num-envs", type=int, default=4)
"""
SKLEARN = """\
X_train, X_test = train_test_split(X, y, test_size=500, random_state=0)
model = make_pipeline(StandardScaler(), MLPClassifier((100,), max_iter=200, random_state=0))
rng = np.random.RandomState(0)
"""
LIGHTNING = "L.seed_everything(42, workers=True)\ntrainer = L.Trainer(max_epochs=3)\n"
HUGGINGFACE = """\
set_seed(42)
args = TrainingArguments(out, num_train_epochs=3, seed=42, data_seed=42)

@dataclass
class DataArguments:
    seed: int = field(default=42, metadata={"help": "for shuffling"})
"""
HELPER = """\
def seed_everything(seed: int = 42, *, strict=False) -> None:
    random.seed(seed)
    torch.manual_seed(seed)

def run(rank, /, world=1, *, seed=42): ...

seed_everything()
"""
DICTS = """\
config = {"lr": 3, "seed": 1337}
cfg.seed = 1337
CONFIG["seed"] = 1337
"""
GENERATORS = """\
g = torch.Generator(device="cuda").manual_seed(2**16 + epoch)
key = jax.random.PRNGKey(0)
rng = np.random.default_rng(seed=0)
"""


@pytest.mark.parametrize(
    ("source", "seeding", "old", "new", "times"),
    [
        (NANOGPT, Seeding(calls=["manual_seed"]), "1337", "7", 2),
        (CLEANRL, Seeding(names=["seed"]), "seed: int = 1", "seed: int = 7", 1),
        (CLEANRL_ARGPARSE, Seeding(names=["seed"]), "default=1,", "default=7,", 1),
        (SKLEARN, Seeding(names=["random_state"]), "state=0", "state=7", 2),
        (SKLEARN, Seeding(calls=["RandomState"]), "RandomState(0", "RandomState(7", 1),
        (LIGHTNING, Seeding(calls=["seed_everything"]), "42", "7", 1),
        (HUGGINGFACE, Seeding(["set_seed"], ["seed", "data_seed"]), "42", "7", 4),
        (HELPER, Seeding(names=["seed"]), "42", "7", 2),
        (DICTS, Seeding(names=["seed"]), "1337", "7", 3),
        (GENERATORS, Seeding(calls=["Generator.manual_seed"]), "", "", 0),
        (GENERATORS, Seeding(calls=["manual_seed"]), "2**16 +", "7 +", 1),
        (GENERATORS, Seeding(calls=["PRNGKey", "random.default_rng"]), "0)", "7)", 2),
        ("SEED = 1337\nSIZE = 1337\n", Seeding(names=["SEED"]), "SEED = 1337", "SEED = 7", 1),
        ("def main():\n    seed = 3\n", Seeding(names=["seed"]), "3", "7", 1),
        ("torch.manual_seed(1337 - rank)\n", Seeding(calls=["manual_seed"]), "1337", "7", 1),
    ],
)
def test_the_forms_of_the_field(
    source: str, seeding: Seeding, old: str, new: str, times: int
) -> None:
    if not times:
        with pytest.raises(ConfigError, match="never calls"):
            seeding.put(source, 7)
        return
    assert source.count(old) == times
    assert seeding.put(source, 7) == source.replace(old, new)
    assert seeding.put(source, 8) != seeding.put(source, 7)


SEEDED = """\
torch.manual_seed(42); torch.cuda.manual_seed(42)  # é
rng = np.random.default_rng(seed=42)
manual_seed(SEED)
manual_seed(1, 2)
manual_seed(1 + 2 * rank)
torch.manual_seed_all(42)
print(f"{manual_seed(42)}")
"""


def test_seeds_are_replaced_wherever_they_are_called() -> None:
    def put(*calls: str) -> str:
        return Seeding(calls).put(SEEDED, 7)

    expected = SEEDED.replace(
        "torch.manual_seed(42); torch.cuda.manual_seed(42)",
        "torch.manual_seed(7); torch.cuda.manual_seed(7)",
    ).replace("manual_seed(1 + 2 * rank)", "manual_seed(7 + 2 * rank)")
    assert put("manual_seed", "default_rng") == expected.replace("seed=42", "seed=7")
    assert put("cuda.manual_seed", "manual_seed") == expected
    assert put("cuda.manual_seed").count("7") == 1
    assert put() == SEEDED


@pytest.mark.parametrize(
    ("source", "seeding", "told"),
    [
        (SEEDED, Seeding(["manual_seed", "seed_all"]), r"never calls seed_all .*seed_calls=\[\]"),
        (
            "SEED = 1\ntorch.manual_seed(SEED)\n",
            Seeding(["manual_seed"]),
            r"it is given SEED: if that holds a number, task\.seed_names=\[SEED\]\)",
        ),
        ("fit(random_state=None)", Seeding(names=["random_state"]), "nowhere gives random_state"),
        ("SEED = 'x'", Seeding(names=["SEED"]), r"SEED = 42 or run\(SEED=42\)"),
    ],
)
def test_a_seed_that_is_not_found_says_what_to_do(source: str, seeding: Seeding, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        seeding.put(source, 7)


def test_what_is_searched_is_not_seeded() -> None:
    seeding = Seeding(names=["SEED"])
    seeding.check(["RATE"])
    with pytest.raises(ConfigError, match="SEED is a parameter too"):
        seeding.check(["RATE", "SEED"])


def test_another_language_needs_no_seed() -> None:
    shell = "#!/bin/sh\ncase $1 in a) ;; esac\n"
    assert Seeding().put(shell, 7) == shell
