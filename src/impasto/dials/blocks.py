"""Arithmetic on pixels, block by block: what one step writes is still in the cache when the next one reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from impasto.system.machine import thread_count

# Pixels. Threads that compute less at a time wait longer for the interpreter than they compute; of twice as many,
# arrays leave the cache, and the products of small matrices start threads of their own.
_BLOCK = 2**15
_LEAST_BLOCKS = 4  # that are worth a thread


def blocks(count: int, step: int = 1) -> list[slice]:
    """Cut `count` things of `step` pixels each, such as rows, into blocks."""
    size = max(1, _BLOCK // step)
    return [slice(start, min(count, start + size)) for start in range(0, count, size)]


def each_block(work: Callable[[slice], None], parts: Sequence[slice]) -> None:
    """Call `work` with each of `parts`, on as many threads as compute."""
    threads = min(thread_count(), len(parts) // _LEAST_BLOCKS)
    if threads < 2:
        _work_off(work, parts)
        return
    shares = [parts[start::threads] for start in range(threads)]
    list(_pool(os.getpid(), threads).map(lambda share: _work_off(work, share), shares))


def _work_off(work: Callable[[slice], None], parts: Sequence[slice]) -> None:
    for part in parts:
        work(part)


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    # One for each process, because threads do not outlive a fork.
    return ThreadPoolExecutor(threads, "impasto-dials")
