"""What was computed for a picture or a channel: strongest patches, Grad-CAM, occlusion, activation maximisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.core.plain_text import visible
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.color_bar import ColorBar
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.picture_view import PictureView
from convviz.ui.widgets.tool_row import Heading

if TYPE_CHECKING:
    from convviz.nn.patches import Patch
    from convviz.ui.inspect.session import Attribution, ChannelPatches

GREY = 128
"""What is shown where a patch reaches beyond its picture."""


class ResultView(QWidget):
    """Shows one result in place of the maps until it is closed by its button."""

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.attribution: Attribution | None = None
        self.patches: ChannelPatches | None = None
        self._title = Heading("")
        self._title.setWordWrap(True)
        self._words = QLabel()
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setWordWrap(True)
        self._bar = ColorBar(self.tr("Values over the picture"))
        close = FlatButton("close", self.tr("Close"))
        close.setToolTip(self.tr("Show the feature maps again (Esc)."))
        close.setAccessibleName(self.tr("Show the feature maps again"))
        close.clicked.connect(self.closed)
        self.picture = PictureView()
        self.picture.setAccessibleName(self.tr("Result"))
        self.mosaic = Mosaic(wrapped=True, fits=True)
        self.mosaic.setAccessibleName(self.tr("Strongest patches"))
        self.mosaic.setToolTip(self.tr("The activation and the class stand below each patch."))
        self._pages = PageStack()
        self._pages.add(self.picture)
        self._pages.add(self.mosaic)
        header = QHBoxLayout()
        header.addWidget(self._title, 1)
        header.addWidget(self._bar)
        header.addWidget(close)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(header)
        self._column.addWidget(self._words)
        self._column.addWidget(self._pages, 1)

    def heightForWidth(self, width: int) -> int:
        """Return the least height: the mosaic makes its patches smaller, or scrolls."""
        return self._column.minimumHeightForWidth(width)

    def show_attribution(self, attribution: Attribution) -> None:
        """Show values over the picture that they belong to, or a picture that was made."""
        self.attribution = attribution
        question, seen, values = attribution.question, attribution.seen, attribution.values
        layer, target = visible(seen.look.layer_name), question.target
        made = question.kind == "maximised"
        self._bar.setVisible(not made)
        if made:
            self._title.setText(
                self.tr("Channel {channel} of layer {layer}, maximised").format(channel=target, layer=layer)
            )
            self._words.setText(self.tr("From faint noise, in steps along the gradient of the channel's mean."))
            self.picture.show_picture(values.astype(np.uint8))
            self.picture.show_values(None)
        else:
            name = seen.network.classes[target] if target < len(seen.network.classes) else str(target)
            if question.kind == "grad_cam":
                self._title.setText(self.tr("Grad-CAM for {name} at layer {layer}").format(name=name, layer=layer))
                self._words.setText(self.tr("Where the maps of this layer speak for the class, in units of its score."))
            else:
                self._title.setText(self.tr("Occlusion for {name}").format(name=name))
                self._words.setText(
                    self.tr("By how much a grey patch of {side}×{side} lowers the probability.").format(
                        side=question.side
                    )
                )
            level = display.signed_levels(values)
            self._bar.show_scale(level, display.is_signed(values))
            self.picture.show_picture(seen.read)
            self.picture.show_values(values, level)
        self._pages.show_page(self.picture)

    def show_patches(self, patches: ChannelPatches, channel: int) -> None:
        """Show the strongest patches of a channel."""
        self.patches = patches
        data, found = patches.dataset, patches.channels[channel]
        self._bar.hide()
        self._title.setText(
            self.tr("Strongest patches of channel {channel}, layer {layer}").format(
                channel=channel, layer=visible(patches.layer_name)
            )
        )
        self._words.setText(
            self.tr("{count} of {total} test pictures of {name}; below each its activation.").format(
                count=len(found), total=len(data.test), name=data.name
            )
        )
        size = patches.network.input_shape[1:]
        cuts = [cut_out(data.test.images[patch.sample_index], patch, size) for patch in found]
        self.mosaic.set_pictures(
            _same_size(cuts), [f"{format_number(p.value, 3)}\n{data.classes[p.label]}" for p in found]
        )
        self._pages.show_page(self.mosaic)


def cut_out(picture_CHW: NDArray[np.uint8], patch: Patch, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return what a patch's unit sees of a picture; grey where it sees beyond it.

    `size` is that in which the network reads pictures: scaled until they cover it, and cut. A patch is in its cells.
    """
    _, height, width = picture_CHW.shape
    scale = max(size[0] / height, size[1] / width)
    top, left = (height * scale - size[0]) / 2, (width * scale - size[1]) / 2
    rows, cols = (
        np.unique(np.floor((np.arange(cells.start, cells.stop) + offset) / scale).astype(int))
        for cells, offset in ((patch.region.rows, top), (patch.region.cols, left))
    )
    seen = picture_CHW[:, rows.clip(0, height - 1)][:, :, cols.clip(0, width - 1)].copy()
    seen[:, (rows < 0) | (rows >= height)] = GREY
    seen[:, :, (cols < 0) | (cols >= width)] = GREY
    return seen


def _same_size(cuts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return pictures (C, H, W) of almost one size as one array: smaller ones end with grey."""
    if not cuts:
        return np.zeros((0, 1, 1, 1), np.uint8)
    height, width = (max(cut.shape[axis] for cut in cuts) for axis in (1, 2))
    pictures = np.full((len(cuts), len(cuts[0]), height, width), GREY, np.uint8)
    for picture, cut in zip(pictures, cuts, strict=True):
        picture[:, : cut.shape[1], : cut.shape[2]] = cut
    return pictures
