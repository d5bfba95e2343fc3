"""Running work that yields its progress."""

from __future__ import annotations

from typing import TypeVar

from convviz.nn.source import DataProgress, Steps

Result = TypeVar("Result")


def followed(steps: Steps[Result]) -> tuple[Result, list[DataProgress]]:
    """What the work returns, and what it yielded on the way."""
    progress: list[DataProgress] = []
    while True:
        try:
            progress.append(next(steps))
        except StopIteration as end:
            return end.value, progress


def result_of(steps: Steps[Result]) -> Result:
    return followed(steps)[0]
