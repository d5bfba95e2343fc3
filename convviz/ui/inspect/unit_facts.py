"""The chosen unit: its activation, what it sees, and what can be asked about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.tool_row import Heading

if TYPE_CHECKING:
    from convviz.core.receptive_field import Region
    from convviz.ui.inspect.session import Seen

VALUE_SIZE = 2.0


class UnitFacts(QWidget):
    """Says what is known of the unit; its buttons lead into the Lab and to what excites the unit's channel."""

    lab_wanted = Signal()
    patches_wanted = Signal()
    asked = Signal(str)  # "grad_cam", "occlusion" or "maximised"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = Heading("")
        self._title.setWordWrap(True)
        self._value, self._sees = QLabel(), QLabel()
        for label in (self._value, self._sees):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(label is self._sees)
        self.lab = FlatButton("next", self.tr("Open in Lab"), Kind.PRIMARY)
        self.lab.setToolTip(self.tr("Step this unit by hand, with the real picture, weights and bias."))
        self.patches = FlatButton(text=self.tr("Patches"))
        self.patches.setToolTip(
            self.tr("Strongest patches: what in the data set's test pictures excites this channel most.")
        )
        self.maximised = FlatButton(text=self.tr("Maximise"))
        self.maximised.setToolTip(
            self.tr("Activation maximisation: a picture made to excite this channel as much as possible.")
        )
        self.grad_cam = FlatButton(text=self.tr("Grad-CAM"))
        self.grad_cam.setToolTip(self.tr("Where this layer's maps speak for the most probable class."))
        self.occlusion = FlatButton(text=self.tr("Occlusion"))
        self.occlusion.setToolTip(
            self.tr("How much the most probable class loses where a grey patch covers the picture.")
        )
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        for part in (self._title, self._value, self.lab):
            self._column.addWidget(part)
        self._grid = QGridLayout()
        for place, button in enumerate((self.patches, self.maximised, self.grad_cam, self.occlusion)):
            self._grid.addWidget(button, *divmod(place, 2))
        self._column.addLayout(self._grid)
        self._column.addWidget(self._sees)  # below the buttons, which stay where they are however long it is
        self._column.addStretch(1)
        for button in (self.lab, self.patches, self.maximised, self.grad_cam, self.occlusion):
            button.setAccessibleName(button.text())
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.lab.clicked.connect(self.lab_wanted)
        self.patches.clicked.connect(self.patches_wanted)
        for kind, button in (("maximised", self.maximised), ("grad_cam", self.grad_cam), ("occlusion", self.occlusion)):
            button.clicked.connect(partial(self.asked.emit, kind))
        self._restyle()

    def show_unit(self, seen: Seen) -> None:
        """Show the unit that was chosen, or how to choose one."""
        unit, value = seen.unit, seen.value
        for button in (self.lab, self.patches, self.maximised):
            button.setEnabled(unit is not None)
        if unit is None or value is None:
            self._title.setText(self.tr("No unit is chosen"))
            self._value.setText("")
            self._sees.setText(self.tr("Click a cell of a map: its value and what it sees of the picture appear here."))
            return
        channel, row, col = unit
        single = seen.look.maps.shape[1:] == (1, 1)
        template = self.tr("Unit {channel}") if single else self.tr("Unit ({row}, {col}) of channel {channel}")
        self._title.setText(template.format(row=row, col=col, channel=channel))
        self._value.setText(format_number(value))
        region = next((region for name, region in seen.regions if not name), None)
        self._sees.setText("" if region is None else self._words(region, seen.read.shape[0]))

    def _words(self, region: Region, channels: int) -> str:
        if not region.real_rows or not region.real_cols:
            return self.tr("It sees padding only.")
        text = self.tr(
            "It sees rows {top} to {bottom}, columns {left} to {right} of the picture: {height}×{width}×{channels}."
        )
        words = text.format(
            top=region.rows.start,
            bottom=region.rows.stop - 1,
            left=region.cols.start,
            right=region.cols.stop - 1,
            height=len(region.rows),
            width=len(region.cols),
            channels=channels,
        ).replace("-", "−")
        if (region.rows, region.cols) != (region.real_rows, region.real_cols):
            words += " " + self.tr("What lies outside is padding.")
        return words

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._restyle()

    def _restyle(self) -> None:
        for layout in (self._column, self._grid):
            layout.setSpacing(round(0.75 * theme.unit()))
        self._value.setFont(theme.font(VALUE_SIZE, bold=True))
        self._value.setMinimumHeight(self._value.fontMetrics().height())
        palette = self._value.palette()
        palette.setColor(self._value.foregroundRole(), theme.colors(self.palette()).window_text)
        self._value.setPalette(palette)
