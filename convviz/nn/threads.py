"""How many threads torch trains with.

A fixed number, from the machine and the network alone: the losses are the same bit for bit only with the same number
of threads.

Measured on two cores with torch 2.14 and the small CNN, in images a second (float32; nobody else computing, and with
three other processes that do):

    threads, GOMP_SPINCOUNT   batch 4      batch 64       batch 128      batch 256
    1                         2 500        5 800, 3 300   6 000          5 000, 5 000
    2, default (300 000)      2 100        9 000, 300     11 000         10 000, 500
    2, 10 000                                     700                          1 500
    2, 1 000                  1 400        8 000, 2 300   9 200          10 900, 4 000
    2, 0 (passive)            900          7 000, 2 800   8 400          8 400, 4 000

Waiting threads spin, which wins a little when the cores are free and loses nearly all when they are not. With a short
wait two threads gain half against one when the cores are free, and lose a third when they are not. Small batches are
not worth a second thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

LEAST_WORK = 20_000_000
"""Multiply-adds of a batch, forward, from which on it is shared out among threads: 28 pictures of the small CNN."""


def num_threads(work: int) -> int:
    """Return how many threads a batch of so many multiply-adds (forward) is shared out among.

    Above two cores one is left to the interface.
    """
    if work < LEAST_WORK:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, max(2, cores - 1))


def use_threads(work: int) -> None:
    """Let the calling thread compute with `num_threads`."""
    torch.set_num_threads(num_threads(work))


@contextmanager
def using_threads(work: int) -> Iterator[None]:
    """Let the calling thread compute with `num_threads` for a while, then with as many as before."""
    before = torch.get_num_threads()
    use_threads(work)
    try:
        yield
    finally:
        torch.set_num_threads(before)
