"""The effective receptive field as a job: the one place of the interface that reaches torch. No Qt in here."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import numpy.typing as npt

from convviz.core.control import StopToken
from convviz.core.explain import Position
from convviz.core.stack import Stack

if TYPE_CHECKING:
    from convviz.nn.effective_field import EffectiveField
    from convviz.ui.jobs import Job

NUM_INPUTS: Final = 20
"""The input on the page, and as many random ones as make the picture smooth."""


def effective_job(stack: Stack, layer_index: int, position: Position, x: npt.ArrayLike) -> Job:
    """Return a job that yields the `EffectiveField` of a unit after every input, and returns the last.

    The arguments are those of `convviz.nn.effective_field.effective_field`. torch is imported, which takes seconds, by
    the job in its own thread.
    """

    def job(token: StopToken) -> Generator[EffectiveField, None, EffectiveField]:
        from convviz.nn.effective_field import effective_field

        return effective_field(stack, layer_index, position, x, NUM_INPUTS, seed=0, token=token)

    return job
