"""The cost model's frozen rates; written by `python -m bilevel.tasks.cpu_gpt.fit_cost`."""

SECONDS_PER = {
    "mm_macs": 2.697e-11,
    "bmm_macs": 2.126e-11,
    "bytes": 1.46e-11,
    "softmax_bytes": 1.091e-10,
    "slow_bytes": 1.68e-10,
    "calls": 6.349e-06,
}
