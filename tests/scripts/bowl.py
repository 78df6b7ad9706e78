"""A script of three constants whose metric is known: for searches that fork a process a trial."""

RATE = 0.5
WIDTH = 64
DECAY = 0.2

print(f"step 1\rstep 2\rval_bpb: {(RATE - 0.25) ** 2 + abs(WIDTH - 32) / 100 + DECAY / 10}")
