"""Learning a hidden kernel by gradient descent on the squared error, one step at a time.

With e the difference between the kernel and the hidden one and X the matrix of all windows of the input, the loss is
the sum of squares |X e|² = eᵀ XᵀX e: a bowl with gradient 2 XᵀX e and curvatures 2 XᵀX. One step costs no more for a
large input than for a small one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from convviz.core.layers import Conv2d, times
from convviz.core.window import ShapeError

Grid = npt.NDArray[np.float64]

MAX_KERNEL = 7
"""The most rows and columns of a kernel to be learned."""

MAX_HISTORY = 10_000
"""The most points that a curve of a descent keeps; older ones are dropped."""

HOPELESS_GROWTH = 1e12
"""A loss this many times the first one is taken to diverge, long before it leaves the range of numbers."""

ROUNDING = 1e-14
"""A kernel this close to the hidden one, relative to its size, is as close as rounding lets it come."""


@dataclass(frozen=True, eq=False)
class KernelTask:
    """An input (H, W) and the hidden kernel (kh, kw), up to 7×7, that made the target of it.

    Raises:
        ShapeError: the kernel does not fit.
        ValueError: a number is not finite.

    """

    input: Grid
    hidden: Grid

    def __post_init__(self) -> None:
        for name in ("input", "hidden"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 2 or array.size == 0:
                raise ShapeError(f"{name} is {times(array.shape) or 'a single number'}; it must be rows × columns.")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds numbers that are not finite; nothing can be learned from them.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        height, width = (min(MAX_KERNEL, size) for size in self.input.shape)
        if self.hidden.shape[0] > height or self.hidden.shape[1] > width:
            raise ShapeError(f"The hidden kernel is {times(self.hidden.shape)}; at most {height}×{width} would fit.")

    def output(self, kernel: Grid) -> Grid:
        """Return the input under `kernel` (kh, kw): (H − kh + 1, W − kw + 1)."""
        output: Grid = Conv2d(1, 1, kernel.shape, weight=kernel[None, None]).forward(self.input[None])[0]
        return output

    @cached_property
    def target(self) -> Grid:
        """The input under the hidden kernel."""
        return self.output(self.hidden)

    @cached_property
    def _gram(self) -> Grid:
        """XᵀX, (kh · kw, kh · kw)."""
        windows = sliding_window_view(self.input, self.hidden.shape)
        gram = np.zeros((self.hidden.size, self.hidden.size))
        for row in windows:
            row_windows = row.reshape(-1, self.hidden.size)
            gram += row_windows.T @ row_windows
        return gram

    @cached_property
    def largest_curvature(self) -> float:
        """The greatest eigenvalue of 2 XᵀX, the loss's second derivatives."""
        return max(0.0, float(2 * np.linalg.eigvalsh(self._gram)[-1]))

    def rate_limit(self, momentum: float = 0.0) -> float:
        """Return the rate above which steps along the steepest direction grow: 2 (1 + momentum) / largest curvature.

        A kernel that is right in that direction to the last digit never leaves; any other diverges. For momentum
        see Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
        """
        return 2 * (1 + momentum) / self.largest_curvature if self.largest_curvature else math.inf

    def loss(self, kernel: Grid) -> float:
        """Return the sum of the squared differences between the output and the target."""
        error = (kernel - self.hidden).ravel()
        return max(0.0, float(error @ self._gram @ error))

    def gradient(self, kernel: Grid) -> Grid:
        """Return the derivative of the loss by each number of the kernel, (kh, kw)."""
        return 2 * (self._gram @ (kernel - self.hidden).ravel()).reshape(self.hidden.shape)

    def start(self, kernel: npt.ArrayLike | None = None) -> KernelState:
        """Return the state before the first step; the kernel is all zeros if not given."""
        first = np.zeros(self.hidden.shape) if kernel is None else np.array(kernel, dtype=np.float64)
        if first.shape != self.hidden.shape:
            raise ShapeError(f"The kernel is {times(first.shape)}, but the hidden one is {times(self.hidden.shape)}.")
        return KernelState(self, first, np.zeros(self.hidden.shape))


@dataclass(frozen=True, eq=False)
class KernelState:
    """Where learning stands after a number of steps.

    Attributes:
        kernel: the kernel now, (kh, kw).
        velocity: what momentum carries into the next step, (kh, kw).
        num_steps: steps made.
        loss: before the last step, as training loops print it; None before the first one.
        diverged: the next step would leave the range of numbers; `step` stands still.

    """

    task: KernelTask
    kernel: Grid
    velocity: Grid
    num_steps: int = 0
    loss: float | None = None
    diverged: bool = False

    @cached_property
    def output(self) -> Grid:
        """What the kernel makes of the input."""
        return self.task.output(self.kernel)

    @property
    def error(self) -> float:
        """The distance to the hidden kernel: the root of the summed squared differences of their numbers."""
        return float(np.linalg.norm(self.kernel - self.task.hidden))


@np.errstate(over="ignore", invalid="ignore")
def step(state: KernelState, rate: float, momentum: float = 0.0) -> KernelState:
    """Return the state after one step of `torch.optim.SGD`.

    velocity = momentum · velocity + gradient; kernel = kernel − rate · velocity. Where the loss or the kernel would no
    longer be finite, the state comes back as it was, marked `diverged`.
    """
    loss = state.task.loss(state.kernel)
    velocity = momentum * state.velocity + state.task.gradient(state.kernel)
    kernel = state.kernel - rate * velocity
    if state.diverged or not (math.isfinite(loss) and np.isfinite(kernel).all()):
        return KernelState(state.task, state.kernel, state.velocity, state.num_steps, state.loss, diverged=True)
    return KernelState(state.task, kernel, velocity, state.num_steps + 1, loss)


class Descent:
    """Steps from a start, with the loss and the error that each one had."""

    def __init__(self, start: KernelState) -> None:
        self.state = start
        self._first_loss = start.task.loss(start.kernel)
        self._losses: deque[float] = deque(maxlen=MAX_HISTORY)
        self._errors = deque([start.error], maxlen=MAX_HISTORY)

    @property
    def diverged(self) -> bool:
        """Whether further steps only lead away: the loss has grown by more than `HOPELESS_GROWTH`."""
        return self.state.diverged or (self.state.loss or 0.0) > HOPELESS_GROWTH * self._first_loss

    @property
    def settled(self) -> bool:
        """Whether the last loss was no more than rounding leaves, so that further steps show nothing new."""
        task, loss = self.state.task, self.state.loss
        least = task.largest_curvature / 2 * (ROUNDING * float(np.linalg.norm(task.hidden))) ** 2
        return loss is not None and loss <= least

    def step(self, rate: float, momentum: float = 0.0) -> None:
        """Make one step and remember its loss and error; a diverged descent stands still."""
        if self.diverged:
            return
        self.state = step(self.state, rate, momentum)
        if self.state.loss is not None and not self.state.diverged:
            self._losses.append(self.state.loss)
            self._errors.append(self.state.error)

    @property
    def loss_curve(self) -> tuple[Grid, Grid]:
        """The numbers of the last steps, from 1, and the loss before each of them."""
        return self._numbered(self._losses)

    @property
    def error_curve(self) -> tuple[Grid, Grid]:
        """The numbers of the last steps, from 0, the start, and the error after each of them."""
        return self._numbered(self._errors)

    def _numbered(self, values: Sequence[float]) -> tuple[Grid, Grid]:
        last = self.state.num_steps
        return np.arange(last - len(values) + 1, last + 1, dtype=np.float64), np.array(values, dtype=np.float64)
