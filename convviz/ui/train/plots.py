"""The curves of a training: loss, accuracy, learning rate, gradient norm, beside those of earlier runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPoint, QRect, QSize
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from convviz.core.numbers import format_number
from convviz.core.plotting import clock_spacing, clock_text, round_spacing, rounded_end
from convviz.ui import theme
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.curve_lines import NARROW_LINE, Curve, CurveLook, Ink
from convviz.ui.widgets.curves import Axis, CurvePlot, Marker
from convviz.ui.widgets.elided_label import ElidedLabel
from convviz.ui.widgets.saving import Saver, png_of, svg_of

if TYPE_CHECKING:  # the interface imports no torch
    from convviz.nn.checkpoint import Change, EpochResult
    from convviz.nn.run_folder import BatchRows

Values = npt.NDArray[np.float64]

SMOOTHING = 0.98
"""What a smoothed curve keeps of itself with each batch, as the trainer's smoothed loss does."""

EARLIER_POINTS = 300
"""An earlier run is drawn with so many of its batches: its curves are smooth."""


EPOCH_COLUMNS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")

BATCH_LOOK = CurveLook(Ink.BLUE, width=NARROW_LINE, strength=0.5)
SMOOTH_LOOK = CurveLook(Ink.BLUE)
TRAIN_LOOK = CurveLook(Ink.BLUE, points=True)
TEST_LOOK = CurveLook(Ink.AMBER, (4, 2), points=True)
EARLIER_LOOKS = tuple(
    CurveLook(Ink.MUTED, dashes, NARROW_LINE, strength, beside=True)
    for dashes, strength in (
        ((6, 3), 1.0),
        ((6, 2, 1, 2), 0.85),
        ((2, 2), 0.75),
        ((6, 2, 1, 2, 1, 2), 0.65),
        ((1, 3), 0.6),
    )
)
"""The newest first."""
MOST_EARLIER = len(EARLIER_LOOKS)


def smoothed(values: Values) -> Values:
    """Return the exponential moving average of values (N,), each over all up to it; its start from 0 is made up for.

    Values that are not finite have no part in it, and stay as they are.
    """
    finite = np.isfinite(values)
    if not finite.all():
        result = values.copy()
        result[finite] = smoothed(values[finite])
        return result
    size = 256  # so many at once: more, and the powers of the share would lose digits
    padded = np.zeros(-(-len(values) // size) * size)
    padded[: len(values)] = values
    decay = SMOOTHING ** np.arange(1, size + 1)
    sums = (1 - SMOOTHING) * np.cumsum(padded.reshape(-1, size) / decay, axis=1)
    carried, carry = [], 0.0
    for end in sums[:, -1].tolist():
        carried.append(carry)
        carry = float(decay[-1]) * (carry + end)
    average: Values = (decay * (sums + np.reshape(carried, (-1, 1)))).ravel()[: len(values)]
    early = average[:2000]  # later on the start has no weight
    early /= 1 - SMOOTHING ** np.arange(1, len(early) + 1)
    return average


def loss_limit(losses: Values, average: Values) -> float:
    """Return up to where losses (N,) are worth seeing: twice the highest one before their average (N,) is lowest.

    Beyond it a loss runs away; to show that as well would press all the rest flat. Only finite losses count, of which
    there must be one.
    """
    finite = np.isfinite(losses)
    return 2 * float(losses[finite][: int(average[finite].argmin()) + 1].max())


@dataclass(frozen=True, eq=False)
class Run:
    """A run as it is shown. Its axes are "step", "epoch" and "time"."""

    name: str
    batches: BatchRows
    epochs: Sequence[EpochResult]
    changes: Sequence[Change]
    batches_per_epoch: int

    def batch(self, name: str) -> Values:
        """Return a column of `BATCH`, (N,)."""
        return np.ascontiguousarray(self.batches[name], dtype=np.float64)

    def epoch(self, name: str) -> Values:
        """Return a value of each `EpochResult`, (N,)."""
        return np.array([getattr(result, name) for result in self.epochs], dtype=np.float64)

    def batch_places(self, axis: str) -> Values:
        """Return where the batches lie on an axis, (N,)."""
        return self.batch("seconds") if axis == "time" else self._from_steps(axis, self.batch("step"))

    def epoch_places(self, axis: str) -> Values:
        """Return where the ends of the epochs lie on an axis, (N,)."""
        return self.epoch("seconds") if axis == "time" else self._from_steps(axis, self.epoch("step"))

    def change_places(self, axis: str) -> Values:
        """Return where the changes lie on an axis, (N,)."""
        steps = np.array([change.step for change in self.changes], dtype=np.float64)
        if axis == "time" and len(self.batches):
            return np.interp(steps, self.batch("step"), self.batch("seconds"))
        return self._from_steps(axis, steps)

    def _from_steps(self, axis: str, steps: Values) -> Values:
        return steps / max(1, self.batches_per_epoch) if axis == "epoch" else steps

    def least_end(self, axis: str) -> float:
        """Return how much of an axis is shown even at the start, so that the first batches do not fill it."""
        return 1.0 if axis == "time" else self._from_steps(axis, 0.1 * np.array(self.batches_per_epoch)).item()

    def main_curve(self, quantity: str, axis: str, look: CurveLook) -> Curve:
        """Return the one curve that stands for this run: of "loss", "accuracy", "rate" or "gradient"."""
        if quantity == "accuracy":
            return Curve(self.name, self.epoch_places(axis), 100 * self.epoch("test_accuracy"), look)
        if quantity == "loss":
            values = self.smoothed_loss
        else:
            values = self.batch("lr") if quantity == "rate" else smoothed(self.batch("grad_norm"))
        if len(values) <= EARLIER_POINTS:
            return Curve(self.name, self.batch_places(axis), values, look)
        kept = np.linspace(0, len(values) - 1, EARLIER_POINTS).round().astype(int)
        return Curve(self.name, self.batch_places(axis)[kept], values[kept], look)

    @cached_property
    def smoothed_loss(self) -> Values:
        """The smoothed loss of each batch, (N,)."""
        return smoothed(self.batch("loss"))

    @cached_property
    def highest_loss(self) -> float:
        """The highest finite loss of a batch, or 0."""
        losses = self.batch("loss")
        return float(losses[np.isfinite(losses)].max(initial=0.0))

    @cached_property
    def loss_end(self) -> float:
        """Up to where the loss is worth seeing."""
        if not self.highest_loss:
            return 0.0
        return min(self.highest_loss, loss_limit(self.batch("loss"), self.smoothed_loss))

    def to_csv(self) -> str:
        """Return all numbers as a table: a row a batch and, behind the last of an epoch, one for the epoch."""
        names = self.batches.dtype.names or ()
        empty = [""] * len(EPOCH_COLUMNS)
        rows: list[tuple[int, int, list[object]]] = [
            (row[0], 0, [*row[:2], *map(_digits, [*row[2:], value]), *empty])
            for row, value in zip(self.batches.tolist(), self.smoothed_loss.tolist(), strict=True)
        ]
        unknown = [""] * (len(names) - 3 + 1)
        for result in self.epochs:
            values = [_digits(getattr(result, name)) for name in EPOCH_COLUMNS]
            rows.append((result.step, 1, [result.step, result.epoch, _digits(result.seconds), *unknown, *values]))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, "smoothed_loss", *EPOCH_COLUMNS])
        writer.writerows(row for _, _, row in sorted(rows, key=lambda row: row[:2]))
        return text.getvalue()


def _digits(value: float) -> str:
    return f"{value:.9g}"


class _Earlier:
    """An earlier run, with its curves on the axes that were asked for so far."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._curves: dict[tuple[str, str], Curve] = {}

    def curve(self, quantity: str, axis: str, look: CurveLook) -> Curve:
        key = quantity, axis
        if key not in self._curves:
            self._curves[key] = self.run.main_curve(quantity, axis, look)
        return replace(self._curves[key], look=look)


class RunPlots(QWidget):
    """Two plots of a run that grows: its loss, and its accuracy, learning rate or gradient norm."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.saver = Saver(self)
        self._note = ElidedLabel(muted=True)
        self.saver.said.connect(self._note.set_text)
        self._run: Run | None = None
        self._earlier: list[_Earlier] = []
        self._quantity = "accuracy"
        self._axes = {
            "step": Axis(self.tr("step")),
            "epoch": Axis(
                self.tr("epoch"), lambda place: format_number(place, 4), lambda least: round_spacing(max(0.01, least))
            ),
            "time": Axis(self.tr("time"), clock_text, clock_spacing),
        }
        self._axis = "epoch"
        self._titles = {
            "accuracy": self.tr("Accuracy %"),
            "rate": self.tr("Learning rate"),
            "gradient": self.tr("Gradient norm"),
        }
        self._loss = CurvePlot(self.tr("Loss"), self._axes["epoch"].title, self)
        self._other = CurvePlot(self._titles["accuracy"], self._axes["epoch"].title, self)
        self._loss.set_empty_text(self.tr("Press Start: the curves appear here."))
        self._loss.setToolTip(
            self.tr(
                "Cross-entropy of each batch, of the batches averaged over some 50, and of the test pictures after "
                "each epoch."
            )
        )
        self._make_controls()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._controls)
        self._plots = QHBoxLayout()
        for plot, follower in ((self._loss, self._other), (self._other, self._loss)):
            plot.pointed.connect(follower.follow)
            self._plots.addWidget(plot, 1)
        self._column.addLayout(self._plots, 1)
        self._rescale()
        self.choose_axis(self._axis)
        self.choose_quantity(self._quantity)

    def _make_controls(self) -> None:
        self._axis_choices = Choices(
            (
                ("step", self.tr("Step"), self.tr("Count batches along the axis.")),
                ("epoch", self.tr("Epoch"), self.tr("Count epochs along the axis.")),
                ("time", self.tr("Time"), self.tr("Show the time along the axis, without pauses.")),
            )
        )
        self._axis_choices.chosen.connect(self.choose_axis)
        self._log = FlatButton(text=self.tr("Log"))
        self._log.setCheckable(True)
        self._log.setToolTip(self.tr("Show the loss on a logarithmic axis."))
        self._log.setAccessibleName(self.tr("Logarithmic loss"))
        self._log.toggled.connect(self._on_log)
        self._quantity_choices = Choices(
            (
                ("accuracy", self.tr("Accuracy"), self.tr("Show how many pictures are recognised.")),
                ("rate", self.tr("Rate"), self.tr("Show the learning rate of each batch.")),
                ("gradient", self.tr("Gradient"), self.tr("Show the norm of the whole gradient of each batch.")),
            )
        )
        self._quantity_choices.chosen.connect(self.choose_quantity)
        self._menu = QMenu(self)
        save: Sequence[tuple[str, str, str, Callable[[Path], None]]] = (
            (self.tr("Save as PNG…"), ".png", self.tr("PNG pictures ({patterns})"), self.save_png),
            (self.tr("Save as SVG…"), ".svg", self.tr("SVG drawings ({patterns})"), self.save_svg),
            (self.tr("Save as CSV…"), ".csv", self.tr("Tables ({patterns})"), self.save_csv),
        )
        for text, suffix, kind, write in save:
            self._menu.addAction(text).triggered.connect(partial(self._ask_where, suffix, kind, write))
        self._menu.addSeparator()
        self._forget = self._menu.addAction(self.tr("Forget earlier runs"))
        self._forget.triggered.connect(self._forget_earlier)
        self._more = FlatButton("more")
        self._more.setToolTip(self.tr("Save the curves, or forget those of earlier runs."))
        self._more.setAccessibleName(self.tr("More about the curves"))
        self._more.clicked.connect(lambda: self._more.drop_down(self._menu))
        self._controls = QHBoxLayout()
        self._controls.addWidget(self._axis_choices)
        self._controls.addWidget(self._log)
        self._controls.addWidget(self._note, 1)
        self._controls.addWidget(self._quantity_choices)
        self._controls.addWidget(self._more)

    # ---- what is shown

    def show_run(
        self,
        name: str,
        batches: BatchRows,
        epochs: Sequence[EpochResult],
        changes: Sequence[Change],
        batches_per_epoch: int,
    ) -> None:
        """Show a run as far as it is.

        Args:
            name: how it is called beside others.
            batches: one row a batch, (N,) of `BATCH`; not to be written to afterwards.
            epochs: the epochs that are over.
            changes: of rate, momentum and number of epochs, in order.
            batches_per_epoch: what makes an epoch of steps.
        """
        self._run = Run(name, batches, tuple(epochs), tuple(changes), batches_per_epoch)
        self._show()

    def keep_run(self) -> None:
        """Make the run shown an earlier one: a faint curve to compare with, as long as it is among the last ones."""
        if self._run is not None and len(self._run.batches):
            self._earlier.insert(0, _Earlier(self._run))
            del self._earlier[MOST_EARLIER:]
        self._run = None
        self._note.set_text("")
        self._show()

    def clear(self) -> None:
        """Show nothing, earlier runs neither."""
        self._run = None
        self._forget_earlier()

    def _forget_earlier(self) -> None:
        self._earlier.clear()
        self._show()

    def choose_axis(self, axis: str) -> None:
        """Count "step", "epoch" or "time" along both plots."""
        self._axis = axis
        self._axis_choices.choose(axis)
        for plot in (self._loss, self._other):
            plot.set_axis(self._axes[axis])
        self._show()

    def choose_quantity(self, quantity: str) -> None:
        """Show "accuracy", "rate" or "gradient" beside the loss."""
        self._quantity = quantity
        self._quantity_choices.choose(quantity)
        self._other.set_title(self._titles[quantity])
        self._other.set_log_y(quantity == "gradient")
        self._other.setToolTip(
            {
                "accuracy": self.tr("Share of pictures recognised: in training, and of the test pictures afterwards."),
                "rate": self.tr("The learning rate that each batch was trained with."),
                "gradient": self.tr("The length of the whole gradient of each batch, on a logarithmic axis."),
            }[quantity]
        )
        self._show()

    def _on_log(self, on: bool) -> None:
        self._loss.set_log_y(on)
        self._show()

    def _show(self) -> None:
        loss, other = self._curves("loss"), self._curves(self._quantity)
        end = max((float(curve.x[-1]) for curve in (*loss, *other) if curve.x.size), default=0.0)
        if self._run is not None:
            end = rounded_end(max(end, self._run.least_end(self._axis)))
        markers = self._markers()
        self._loss.show_curves(loss, markers, end, (None, self._loss_end()))
        self._other.show_curves(other, markers, end, (0, 100) if self._quantity == "accuracy" else (None, None))
        started = self._run is not None and len(self._run.batches) > 0
        self._other.set_empty_text(self.tr("Accuracies appear at the end of each epoch.") if started else "")
        self._more.setEnabled(started or bool(self._earlier))
        self._forget.setEnabled(bool(self._earlier))

    def _curves(self, quantity: str) -> list[Curve]:
        """Return the curves of "loss", "accuracy", "rate" or "gradient": those of the run, then the earlier ones."""
        curves = [] if self._run is None else self._own_curves(self._run, quantity)
        return curves + [
            one.curve(quantity, self._axis, look) for one, look in zip(self._earlier, EARLIER_LOOKS, strict=False)
        ]

    def _own_curves(self, run: Run, quantity: str) -> list[Curve]:
        axis = self._axis
        if quantity == "accuracy":
            x = run.epoch_places(axis)
            return [
                Curve(self.tr("train"), x, 100 * run.epoch("train_accuracy"), TRAIN_LOOK),
                Curve(self.tr("test"), x, 100 * run.epoch("test_accuracy"), TEST_LOOK),
            ]
        x = run.batch_places(axis)
        if quantity == "rate":
            return [Curve(self.tr("rate"), x, run.batch("lr"), SMOOTH_LOOK)]
        values = run.batch("loss" if quantity == "loss" else "grad_norm")
        batch = Curve(self.tr("batch"), x, values, BATCH_LOOK)
        if quantity == "gradient":
            return [Curve(self.tr("smoothed"), x, smoothed(values), SMOOTH_LOOK), batch]
        test = Curve(self.tr("test"), run.epoch_places(axis), run.epoch("test_loss"), TEST_LOOK)
        return [Curve(self.tr("train"), x, run.smoothed_loss, SMOOTH_LOOK), test, batch]

    def _loss_end(self) -> float | None:
        """Return where the loss axis ends if a loss runs away, else None: it shows all."""
        runs = [one.run for one in self._earlier] + ([] if self._run is None else [self._run])
        if self._log.isChecked() or all(run.loss_end == run.highest_loss for run in runs):
            return None
        return max(run.loss_end for run in runs)

    def _markers(self) -> list[Marker]:
        """Return the changes of the run; those before the same step share their words."""
        if self._run is None or not self._run.changes:
            return []
        words = {
            "lr": self.tr("rate {value}"),
            "momentum": self.tr("momentum {value}"),
            "epochs": self.tr("{value} epochs"),
        }
        texts: dict[float, dict[str, str]] = {}
        for change, x in zip(self._run.changes, self._run.change_places(self._axis).tolist(), strict=True):
            texts.setdefault(x, {})[change.name] = words[change.name].format(value=format_number(change.value))
        return [Marker(x, ", ".join(text.values())) for x, text in sorted(texts.items())]

    # ---- files

    def _ask_where(self, suffix: str, kinds: str, save: Callable[[Path], None]) -> None:
        path = self.saver.ask_where(self.tr("Save the curves"), self.tr("curves"), suffix, kinds)
        if path is not None:
            save(path)

    def save_png(self, path: Path) -> None:
        """Save both plots as they are."""
        self.saver.write(path, png_of(self._drawing_size(), self._draw))

    def save_svg(self, path: Path) -> None:
        """Save both plots as they are, as a drawing of any size."""
        drawing = svg_of(self._drawing_size(), self._draw, self._loss.accessibleName(), self.logicalDpiX())
        self.saver.write(path, drawing)

    def save_csv(self, path: Path) -> None:
        """Save all numbers of the run shown, or of the newest of the earlier ones, as a table."""
        runs = [] if self._run is None or not len(self._run.batches) else [self._run]
        runs += [one.run for one in self._earlier]
        if runs:
            self.saver.write_later(path, lambda: runs[0].to_csv().encode())

    def _drawing_size(self) -> QSize:
        gap = round(theme.unit())
        return QSize(self._loss.width() + self._other.width() + 3 * gap, self._loss.height() + 2 * gap)

    def _draw(self, painter: QPainter) -> None:
        """Draw the plots beside each other, without what operates them."""
        gap = round(theme.unit())
        painter.fillRect(QRect(QPoint(0, 0), self._drawing_size()), self.palette().color(QPalette.ColorRole.Window))
        painter.translate(gap, gap)
        self._loss.draw(painter, self._loss.size())
        painter.translate(self._loss.width() + gap, 0)
        self._other.draw(painter, self._other.size())

    # ---- look

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which the curves can be read."""
        unit = theme.unit()
        return QSize(round(70 * unit), round(22.5 * unit))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_plots"):
            self._rescale()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._column.setSpacing(round(unit))
        for row in (self._controls, self._plots):
            row.setSpacing(round(unit))
        self.updateGeometry()
