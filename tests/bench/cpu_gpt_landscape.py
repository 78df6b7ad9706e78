"""What each constant is worth on the CPU benchmark, paired by seed against the baseline.

`python -m tests.bench.cpu_gpt_landscape --budget-s 5 --seeds 1 2`: minutes, two runs at once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Changes = Mapping[str, object]
CHANGES: tuple[Changes, ...] = (
    *({"TOTAL_BATCH_SIZE": 2**n} for n in (9, 10, 11, 12, 14, 16)),
    *({"UNEMBEDDING_LR": rate} for rate in (0.002, 0.008, 0.016, 0.1)),
    *({"EMBEDDING_LR": rate} for rate in (0.02, 0.3, 1.2, 10.0)),
    *({"MATRIX_LR": rate} for rate in (0.002, 0.02, 0.08, 1.0)),
    *({"SCALAR_LR": rate} for rate in (0.01, 1.0, 5.0)),
    *({"WARMDOWN_RATIO": share} for share in (0.0, 0.25, 0.8, 1.0)),
    *({"WARMUP_RATIO": share} for share in (0.1, 0.5)),
    *({"FINAL_LR_FRAC": share} for share in (0.1, 0.3)),
    *({"WEIGHT_DECAY": rate} for rate in (0.0, 0.1, 1.0)),
    *({"ADAM_BETAS": betas} for betas in ((0.5, 0.8), (0.9, 0.99))),
    *({"HEAD_DIM": width} for width in (16, 32, 128)),
    *({"DEVICE_BATCH_SIZE": rows} for rows in (1, 4, 64)),
    {"WINDOW_PATTERN": "SSSS"},
)
SCRIPT = """
from bilevel.tasks.cpu_gpt import train
from bilevel.tasks.cpu_gpt.job import current_job
vars(train).update({changes!r})
train.main(current_job())
"""


def val_bpb(changes: Changes, seed: int, budget_s: float) -> float | None:
    """None where the run fails."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT.format(changes=dict(changes)))
        command = [sys.executable, "-m", "bilevel.tasks.cpu_gpt.harness", str(script)]
        command += ["--seed", str(seed), "--budget-s", str(budget_s)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    values = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("val_bpb:")]
    return float(values[0]) if done.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget-s", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    everything: tuple[Changes, ...] = ({}, *CHANGES)
    jobs = [(changes, seed) for changes in everything for seed in options.seeds]
    with ThreadPoolExecutor(2) as pool:
        values = list(pool.map(lambda job: val_bpb(job[0], job[1], options.budget_s), jobs))
    baseline = dict(zip(options.seeds, values, strict=False))
    for (changes, seed), value in zip(jobs, values, strict=True):
        before = baseline[seed]
        effect = "failed" if value is None or before is None else f"{value - before:+.4f}"
        print(f"seed {seed}  {value}  {effect}  {changes}")


if __name__ == "__main__":
    main()
