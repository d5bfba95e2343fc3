"""Learning a hidden kernel: the kernel moves, its output nears the target, the loss falls, or the page says why not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHideEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.inputs import make_input
from convviz.core.learn_kernel import MAX_KERNEL, Descent, KernelTask
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.lab.grid_panel import GridPanel
from convviz.ui.widgets.bar import Bar
from convviz.ui.widgets.buttons import Choices, FlatButton, Kind
from convviz.ui.widgets.curves import CurvePlot
from convviz.ui.widgets.fields import NumberSpin, Section, scaling, show_value, whole_number
from convviz.ui.widgets.grid_content import GridContent
from convviz.ui.widgets.info_bar import InfoBar
from convviz.ui.widgets.live_text import LiveText
from convviz.ui.widgets.scrolled import scrolled
from convviz.ui.widgets.side_panel import SidePanel
from convviz.ui.widgets.transport import MAX_SPEED, Player

Grid = npt.NDArray[np.float64]

SPEEDS = (2, 10, 60, 600)
"""Steps a second that can be chosen. Above `MAX_SPEED` several steps are made for each picture."""

MAX_SEED = 999_999
ROUND_NUMBERS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)

CELL_UNITS = 10.5
"""Cells are not made larger than this, in spacing units."""

SHARE_OF_LIMIT = 0.9
"""The first rate of a task, relative to the greatest one that does not diverge."""


def edge_task() -> KernelTask:
    """Return the task that a class can follow by head: [1, −1] on the 6×8 picture of vertical edges."""
    return KernelTask(make_input("vertical_edges", (6, 8))[0], np.array([[1.0, -1.0]]))


def first_rate(task: KernelTask) -> float:
    """Return a rate with which any start converges, in two digits."""
    limit = task.rate_limit()
    return float(f"{SHARE_OF_LIMIT * limit:.2g}") if math.isfinite(limit) else 1.0


def first_kernel(start: str, size: tuple[int, int], seed: int) -> Grid:
    """Return the kernel (kh, kw) to start from: "zeros", "halves", or "random" numbers from −1 to 1 in two digits."""
    if start == "random":
        return np.random.default_rng(seed).uniform(-1, 1, size).round(2)
    return np.full(size, 0.5 if start == "halves" else 0.0)


def round_level(*arrays: Grid) -> float:
    """Return a round number that no number of the arrays exceeds, so that colours seldom change while they move."""
    most = max(float(np.abs(array).max()) for array in arrays)
    if most == 0:
        return 1.0
    power = math.floor(math.log10(most))
    return next(level for m in ROUND_NUMBERS if (level := float(f"{m}e{power}")) >= most)


def without_rounding(values: Grid, level: float) -> Grid:
    """Return the values with 0 for those that are nothing but the rounding of sums as large as ``level``."""
    return np.where(np.abs(values) > 1e-13 * level, values, 0.0)


class RateSpin(NumberSpin):
    """A positive number of any magnitude; the arrows change its second digit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(1e-30, 1e12)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)


class _Controls(SidePanel):
    """The panel at the left: what to learn, from where, and how fast."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.task = Choices(
            (
                ("edges", self.tr("Edges"), self.tr("Learn [1, −1] from the 6×8 picture of vertical edges.")),
                (
                    "lab",
                    self.tr("From the Lab"),
                    self.tr("Learn the Lab's kernel from its input: stride 1, no padding."),
                ),
            )
        )
        self.reveal = FlatButton(text=self.tr("Reveal hidden kernel"))
        self.reveal.setCheckable(True)
        self.reveal.setToolTip(self.tr("Show the numbers that are to be found."))
        self.reveal.setAccessibleName(self.reveal.text())
        self.start = Choices(
            (
                ("zeros", self.tr("Zeros"), self.tr("Start from a kernel of zeros.")),
                ("halves", "0.5", self.tr("Start from a kernel with 0.5 everywhere.")),
                ("random", self.tr("Random"), self.tr("Start from random numbers between −1 and 1.")),
            )
        )
        self.seed = whole_number(
            self.tr("Seed of the random start"), self.tr("The same seed gives the same random numbers."), 0, MAX_SEED
        )
        self.rate = scaling(RateSpin())
        self.rate.setAccessibleName(self.tr("Learning rate"))
        self.rate.setToolTip(self.tr("How far a step goes: the gradient is multiplied by this number."))
        self.momentum = scaling(QDoubleSpinBox())
        self.momentum.setRange(0, 0.99)
        self.momentum.setSingleStep(0.1)
        self.momentum.setAccessibleName(self.tr("Momentum"))
        self.momentum.setToolTip(self.tr("The share of the last step that is added to the next; 0 is plain SGD."))
        self._note = QLabel()
        self._note.setWordWrap(True)
        self._note.setTextFormat(Qt.TextFormat.PlainText)
        self._note.setAccessibleName(self.tr("Limit of the rate"))
        self._warns = False
        task = Section(self.tr("HIDDEN KERNEL"))
        task.add_wide(self.task)
        task.add_wide(self.reveal)
        start = Section(self.tr("START"))
        start.add_wide(self.start)
        self._seed_label = start.add_row(self.tr("Seed"), self.seed)
        descent = Section(self.tr("GRADIENT DESCENT"))
        descent.add_row(self.tr("Rate"), self.rate)
        descent.add_row(self.tr("Momentum"), self.momentum)
        descent.add_wide(self._note)
        self.set_parts(task, start, descent)
        self.task.choose("edges")
        self.choose_start("zeros")
        self._colour_note()

    def choose_start(self, start: str) -> None:
        """Check a start without a signal; only a random one has a seed."""
        self.start.choose(start)
        for widget in (self.seed, self._seed_label):
            widget.setVisible(start == "random")

    def show_note(self, text: str, warns: bool) -> None:
        """Say something about the rate, quietly or as a warning."""
        self._note.setText(text)
        self._warns = warns
        self._colour_note()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_warns"):
            self._colour_note()

    def _colour_note(self) -> None:
        theme.mute(self._note)
        if self._warns:
            palette = self._note.palette()
            palette.setColor(QPalette.ColorRole.WindowText, theme.colors(palette).error)
            self._note.setPalette(palette)


class _Board(QWidget):
    """Input, kernel and output in a row; below them the curves, the hidden kernel and the target output."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.input, self.kernel, self.output, self.hidden, self.target = (
            GridPanel(name, editable=False, parent=self)
            for name in (
                self.tr("Input grid"),
                self.tr("Kernel grid"),
                self.tr("Output grid"),
                self.tr("Hidden kernel grid"),
                self.tr("Target output grid"),
            )
        )
        self._columns = ((self.input, None), (self.kernel, self.hidden), (self.output, self.target))
        for panel, tooltip in (
            (self.input, self.tr("The numbers that both kernels move over.")),
            (self.kernel, self.tr("The kernel that learns.")),
            (self.output, self.tr("What the kernel makes of the input now.")),
            (self.hidden, self.tr("The kernel that is to be found.")),
            (self.target, self.tr("What the hidden kernel makes of the input.")),
        ):
            panel.grid.setToolTip(tooltip)
            panel.grid.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot = CurvePlot(self.tr("Loss and error"), self.tr("step"), self)
        self._plot.setToolTip(
            self.tr(
                "Loss: the sum of squared differences to the target, before each step. "
                "Error: the distance of the kernel's numbers to the hidden ones, after it."
            )
        )
        self._plot.set_log_y(True)

    def show_task(self, task: KernelTask) -> None:
        """Show what does not change while learning, and arrange the grids for its sizes."""
        self.input.grid.set_content(
            GridContent(task.input, display.signed_levels(task.input), signed=display.is_signed(task.input))
        )
        size = _size_text(task.hidden)
        self.input.set_texts(self.tr("Input {size}").format(size=_size_text(task.input)), "")
        self.kernel.set_texts(self.tr("Kernel {size}").format(size=size), "")
        self.output.set_texts(self.tr("Output {size}").format(size=_size_text(task.target)), "")
        self.hidden.set_texts(self.tr("Hidden kernel"), "")
        self.target.set_texts(self.tr("Target output"), "")
        self._arrange()

    def show_descent(self, descent: Descent, revealed: bool) -> None:
        """Show where learning stands. The hidden numbers, their colours and their level stay hidden until revealed."""
        state = descent.state
        hidden = state.task.hidden if revealed else np.zeros_like(state.kernel)
        level = round_level(state.kernel, hidden)
        self.kernel.grid.set_content(GridContent(without_rounding(state.kernel, level), level))
        self.hidden.grid.set_content(GridContent(hidden, level), None if revealed else 0)
        level = round_level(state.output, state.task.target)
        self.output.grid.set_content(GridContent(without_rounding(state.output, level), level))
        self.target.grid.set_content(GridContent(state.task.target, level))
        self._plot.set_curve(self.tr("loss"), *descent.loss_curve)
        self._plot.set_curve(self.tr("error"), *descent.error_curve)

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which no text is cut and a 3×3 grid can be read."""
        unit = theme.unit()
        least = [max(self._text_width(k), round(12 * unit)) for k in range(3)]
        panel = self._header_height() + self.input.grid.minimumSizeHint().height()
        height = max(panel, self._plot.minimumSizeHint().height())
        return QSize(round(sum(least) + 6 * unit), round(2 * height + 3 * unit))

    def _text_width(self, column: int) -> int:
        above, below = self._columns[column]
        other = self._plot.minimumSizeHint().width() if below is None else below.text_width
        return max(above.text_width, other)

    def _header_height(self) -> int:
        return round(self.fontMetrics().height() * 1.25 + theme.unit() / 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange the grids in the new room."""
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_plot"):
            self._arrange()
            self.updateGeometry()
        super().changeEvent(event)

    def _arrange(self) -> None:
        unit, header = theme.unit(), self._header_height()
        area = QRectF(self.rect()).adjusted(unit / 2, unit / 2, -unit / 2, -unit / 2)
        height, gap = (area.height() - unit) / 2, unit
        widths = self._widths(area.width() - 2 * gap, height - header)
        spare = max(0.0, area.width() - 2 * gap - sum(widths))
        gap += min(5 * unit, spare / 4)
        x = area.left() + max(0.0, area.width() - 2 * gap - sum(widths)) / 2
        for (panel, below), width in zip(self._columns, widths, strict=True):
            top = QRect(round(x), round(area.top()), round(width), round(height))
            bottom = top.translated(0, round(height + unit))
            panel.arrange(top, header)
            if below is None:
                self._plot.setGeometry(bottom)
            else:
                below.arrange(bottom, header)
            x += width + gap

    def _widths(self, room: float, height: float) -> list[float]:
        """Return the columns' widths for the largest cells, the same in input and output, that fit in both directions.

        The kernel, smaller and looked at most, has cells that are a little larger, and keeps them readable first.
        """
        unit = theme.unit()
        shapes = [panel.grid.content.values.shape for panel, _ in self._columns]
        frames = [panel.grid.frame for panel, _ in self._columns]
        height -= frames[0].top() + frames[0].bottom()
        cell = min(CELL_UNITS * unit, height / shapes[0][0])
        beside = frames[1].left() + frames[1].right() + 1 + self._text_width(0) + self._text_width(2)
        kernel_most = min(height / shapes[1][0], (room - beside) / shapes[1][1])
        while True:
            cells = (cell, min(max(1.3 * cell, 6 * unit), kernel_most), cell)
            widths = [
                max(float(self._text_width(k)), cells[k] * shapes[k][1] + frames[k].left() + frames[k].right() + 1)
                for k in range(3)
            ]
            if sum(widths) <= room or cell < 0.1:
                return widths
            cell *= 0.99


class _RunBar(Bar):
    """The bar below: start over, one step, many steps, how fast."""

    COMPACT_UNITS = 88

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Edge.BottomEdge, parent)
        self.reset = FlatButton("first", self.tr("Reset"))
        self.reset.setToolTip(self.tr("Go back to the start."))
        self.step = FlatButton("next", self.tr("Step"))
        self.step.setToolTip(self.tr("Make one step of gradient descent."))
        self.run = FlatButton("play", self.tr("Run"), Kind.PRIMARY)
        self.run.setToolTip(self.tr("Make steps until you pause, nothing changes any more, or the loss runs away."))
        self._position = LiveText()
        self._speed_label = QLabel(self.tr("steps a second"))
        self.speed = Choices(
            [
                (str(speed), str(speed), self.tr("Make {speed} steps a second while running.").format(speed=speed))
                for speed in SPEEDS
            ]
        )
        for button in (self.reset, self.step, self.run):
            button.setAccessibleName(button.text())
        self._row = QHBoxLayout(self)
        for widget in (self.reset, self.step, self.run, self._position):
            self._row.addWidget(widget)
        self._row.addStretch(1)
        self._row.addWidget(self._speed_label)
        self._row.addWidget(self.speed)
        self.rescale()

    def show_position(self, steps: int, settled: bool) -> None:
        """Show how many steps were made, and whether nothing changes any more."""
        template = self.tr("step {step}, settled") if settled else self.tr("step {step}")
        widest = self.tr("step {step}, settled").format(step="00000")
        self._position.set_text(template.format(step=steps), widest)

    def show_running(self, running: bool) -> None:
        """Show the run button as pause, or as run."""
        self.run.set_icon("pause" if running else "play")
        self.run.setText(self.tr("Pause") if running else self.tr("Run"))

    def fold(self) -> None:
        """Drop the words where the bar is narrow."""
        compact = self.width() / theme.unit() < self.COMPACT_UNITS
        for button in (self.reset, self.step, self.run):
            button.show_text(not compact)
        self._speed_label.setVisible(not compact)

    def rescale(self) -> None:
        """Follow the font."""
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(unit), round(2 * unit), round(unit))
        self._row.setSpacing(round(unit))
        self.fold()


class LearnView(QWidget):
    """Gradient descent towards a hidden kernel, by hand or running; the kernel, its output and the curves move live."""

    rejected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lab_input: Grid = np.zeros((1, 1))
        self._lab_kernel: Grid | None = None
        self._choice = "edges"
        self._start = "zeros"
        self._steps_at_once = 1
        self._player = Player(self)
        self.controls = _Controls()
        self._board = _Board()
        self._bar = _RunBar()
        self._info = InfoBar()
        self._make_layout()
        self._connect()
        self._rescale()
        self._bar.speed.choose("10")
        self._set_speed("10")
        self._begin(edge_task())

    def _make_layout(self) -> None:
        work = QVBoxLayout()
        work.setSpacing(0)
        self._info_row = QVBoxLayout()
        self._info_row.addWidget(self._info)
        work.addLayout(self._info_row)
        work.addWidget(scrolled(self._board), 1)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.controls)
        row.addLayout(work, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row, 1)
        column.addWidget(self._bar)

    def _connect(self) -> None:
        controls, bar = self.controls, self._bar
        controls.task.chosen.connect(self._choose_task)
        controls.reveal.clicked.connect(self._show)
        controls.start.chosen.connect(self._choose_start)
        controls.seed.valueChanged.connect(self.reset)
        controls.rate.valueChanged.connect(self._show_limit)
        controls.momentum.valueChanged.connect(self._show_limit)
        bar.reset.clicked.connect(self.reset)
        bar.step.clicked.connect(self.step)
        bar.run.clicked.connect(self.toggle_run)
        bar.speed.chosen.connect(self._set_speed)
        self._player.step_requested.connect(self._on_picture_due)
        self._player.playing_changed.connect(bar.show_running)

    # ---- what is learned, and from where

    @property
    def descent(self) -> Descent:
        """Where learning stands, and the way there."""
        return self._descent

    def set_lab(self, input_HW: Grid, kernel: Grid | None) -> None:
        """Take what "From the Lab" means: an input (H, W) and a kernel (kh, kw), or None where there is none.

        If that is the task now, learning begins anew with other numbers. Where they cannot be learned, `rejected` says
        why, and the task becomes the edges.
        """
        self._lab_input, self._lab_kernel = input_HW, kernel
        if self._choice == "lab":
            self._choose_task("lab")

    def _choose_task(self, choice: str) -> None:
        task = edge_task()
        if choice == "lab" and (refusal := self._refusal()):
            self.rejected.emit(refusal)
            choice = "edges"
        elif choice == "lab" and self._lab_kernel is not None:
            task = KernelTask(self._lab_input, self._lab_kernel)
        self._choice = choice
        self.controls.task.choose(choice)
        now = self._descent.state.task
        if not (np.array_equal(task.input, now.input) and np.array_equal(task.hidden, now.hidden)):
            self._begin(task)

    def _refusal(self) -> str:
        """Return why the Lab's kernel cannot be learned, or nothing."""
        if self._lab_kernel is None:
            return self.tr("Pooling has no kernel to learn. Choose Conv in the Lab first.")
        rows, cols = (min(MAX_KERNEL, size) for size in self._lab_input.shape)
        if self._lab_kernel.shape[0] <= rows and self._lab_kernel.shape[1] <= cols:
            return ""
        return self.tr("The Lab's kernel is {size}. On this input, one of up to {rows}×{cols} can be learned.").format(
            size=_size_text(self._lab_kernel), rows=rows, cols=cols
        )

    def _begin(self, task: KernelTask) -> None:
        """Hide another kernel, and stand at the start."""
        self.controls.reveal.setChecked(False)
        show_value(self.controls.rate, first_rate(task))
        self._stand_at_start(task)
        self._board.show_task(task)

    def _choose_start(self, start: str) -> None:
        self._start = start
        self.controls.choose_start(start)
        self.reset()

    def reset(self) -> None:
        """Go back to the start."""
        self._stand_at_start(self._descent.state.task)

    def _stand_at_start(self, task: KernelTask) -> None:
        self._player.stop()
        self._info.clear()
        kernel = first_kernel(self._start, task.hidden.shape, self.controls.seed.value())
        self._descent = Descent(task.start(kernel))
        self._show_limit()
        self._show()

    # ---- steps

    def step(self) -> None:
        """Make one step, by hand."""
        self._player.stop()
        self._advance(1)

    def toggle_run(self) -> None:
        """Run, or pause."""
        if self._player.is_playing:
            self._player.stop()
        elif not self._descent.diverged:
            self._player.start()

    def _set_speed(self, speed: str) -> None:
        self._player.set_speed(int(speed))
        self._steps_at_once = max(1, round(int(speed) / MAX_SPEED))

    def _on_picture_due(self) -> None:
        self._advance(self._steps_at_once)

    def _advance(self, steps: int) -> None:
        for field in (self.controls.rate, self.controls.momentum):
            field.interpretText()  # a number may be typed but not entered yet
        rate, momentum = self.controls.rate.value(), self.controls.momentum.value()
        for _ in range(steps):
            self._descent.step(rate, momentum)
            if self._descent.diverged or self._descent.settled:
                self._player.stop()
                break
        if self._descent.diverged:
            self._info.show_message(self._divergence())
        self._show()

    def hideEvent(self, event: QHideEvent) -> None:
        """Pause: nobody watches."""
        self._player.stop()
        super().hideEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_info_row"):
            self._rescale()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._info_row.setContentsMargins(round(unit), round(unit / 2), round(unit), 0)

    # ---- showing

    def _show(self) -> None:
        self._board.show_descent(self._descent, self.controls.reveal.isChecked())
        self._bar.show_position(self._descent.state.num_steps, self._descent.settled)
        for button in (self._bar.step, self._bar.run):
            button.setEnabled(not self._descent.diverged)

    def _show_limit(self) -> None:
        """Say below which rate learning converges, or that the rate is above it."""
        reason = self._reason()
        self.controls.show_note(reason or self._limit(), warns=bool(reason))

    def _limit(self) -> str:
        curvature = self._descent.state.task.largest_curvature
        if not curvature:
            return self.tr("The input is zero wherever the kernel reads it: there is nothing to learn from.")
        return self.tr("Rates below {limit} converge: the largest curvature is {curvature}.").format(
            limit=self._limit_formula(), curvature=format_number(curvature)
        )

    def _reason(self) -> str:
        """Return why learning diverges, or nothing where the rate is not above its limit."""
        task, rate = self._descent.state.task, self.controls.rate.value()
        if rate <= task.rate_limit(self.controls.momentum.value()):
            return ""
        return self.tr(
            "The rate {rate} is above {limit}, the limit that the largest curvature {curvature} sets: "
            "each step in its direction overshoots more than the last."
        ).format(
            rate=format_number(rate, 6),
            limit=self._limit_formula(),
            curvature=format_number(task.largest_curvature),
        )

    def _limit_formula(self) -> str:
        """Return 2 / curvature with its value, and with momentum 2·(1 + m) / curvature."""
        task, momentum = self._descent.state.task, self.controls.momentum.value()
        factor = f"2·(1 + {format_number(momentum)})" if momentum else "2"
        return f"{factor}/{format_number(task.largest_curvature)} = {format_number(task.rate_limit(momentum))}"

    def _divergence(self) -> str:
        stopped = self.tr("Stopped at step {step}: the loss has grown more than 1e12-fold.").format(
            step=self._descent.state.num_steps
        )
        return " ".join(filter(None, (stopped, self._reason(), self.tr("Choose a lower rate, then Reset."))))


def _size_text(array: Grid) -> str:
    return f"{array.shape[0]}×{array.shape[1]}"
