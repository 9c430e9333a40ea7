"""How many steps fit into a time on this machine."""

import time
from functools import partial

import jax

from jaxlm.parallel.placement import Ahead, place
from jaxlm.train.loop import jitted_step
from jaxlm.train.run import Run
from jaxlm.train.state import init_state

GLANCE, LOOK = 1.0, 6.0
"""Seconds for which steps are timed: to see that all fit by far, and to count those that do."""


def steps_within(run: Run, minutes: float) -> int:
    """Steps of `run`, all or those that its training has time for, by the pace of some that are made and thrown away.

    Off the time goes what compiling took, since the run compiles again. What evaluations take does not.
    """
    begun = time.perf_counter()
    state, update = init_state(run.model, run.layout, run.train.seed, run.partitioner), jitted_step(run)
    batches = Ahead(run.batches(0), partial(place, partitioner=run.partitioner, num_rows=run.padded_size))
    try:
        state, sums = update(state, next(batches))
        jax.block_until_ready(sums)
        compiled = time.perf_counter()
        left = run.peers.agree("pace 0", 60 * minutes - (compiled - begun))
        done = 0
        while True:
            state, sums = update(state, next(batches))
            jax.block_until_ready(sums)
            done += 1
            seconds = run.peers.agree(f"pace {done}", time.perf_counter() - compiled)  # all make the same number of steps
            fit = int(left / seconds * done)
            if seconds >= LOOK or (seconds >= GLANCE and fit >= 2 * run.train.steps):
                return max(1, min(run.train.steps, fit))
    finally:
        batches.close()
