"""Running work that yields its progress."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


def followed(steps: Generator[Step, None, Result]) -> tuple[Result, list[Step]]:
    """What the work returns, and what it yielded on the way."""
    progress: list[Step] = []
    while True:
        try:
            progress.append(next(steps))
        except StopIteration as end:
            return end.value, progress


def result_of(steps: Generator[object, None, Result]) -> Result:
    return followed(steps)[0]
