"""Saving what is shown: as a picture, a drawing or a table, in a file that is complete or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QObject, QPoint, QRect, QSaveFile, QSize, Signal, Slot
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QWidget

from convviz.core.control import StopToken
from convviz.ui.jobs import JobRunner

IMAGE_SCALE = 2
"""Pixels a px in saved pictures."""

Draw = Callable[[QPainter], None]


def png_of(size: QSize, draw: Draw) -> bytes:
    """Return what ``draw`` paints in ``size`` px as a PNG picture with `IMAGE_SCALE` pixels a px."""
    image = QImage(size * IMAGE_SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(IMAGE_SCALE)
    painter = QPainter(image)
    draw(painter)
    painter.end()
    return as_png(image)


def as_png(image: QImage) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = QBuffer()
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub asks for bytes, the function for text
    return bytes(buffer.data().data())


def svg_of(size: QSize, draw: Draw, title: str, dots_per_inch: int) -> bytes:
    """Return what ``draw`` paints in ``size`` px as an SVG drawing of any size."""
    buffer, generator = QBuffer(), QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRect(QPoint(0, 0), size))
    generator.setResolution(dots_per_inch)
    generator.setTitle(title)
    painter = QPainter(generator)
    draw(painter)
    painter.end()
    return bytes(buffer.data().data())


class Saver(QObject):
    """Asks where to save, and saves.

    Signals:
        said(str): what went well.
        rejected(str): what did not, and why.
    """

    said = Signal(str)
    rejected = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.folder = Path.home()
        self._window = parent
        self._path = Path()
        self._jobs = JobRunner(self)
        self._jobs.succeeded.connect(self._on_made)
        self._jobs.failed.connect(self._on_failed)

    def ask_where(self, title: str, name: str, suffix: str, kinds: str) -> Path | None:
        """Return the file that the user chooses, with a suffix; None if none.

        Args:
            title: of the dialog.
            name: what is proposed.
            suffix: of the file, with its dot.
            kinds: what such files are called, with {patterns}.

        """
        start = str(self.folder / (name + suffix))
        path, _ = QFileDialog.getSaveFileName(self._window, title, start, kinds.format(patterns=f"*{suffix}"))
        if not path:
            return None
        self.folder = Path(path).parent
        return Path(path) if Path(path).suffix else Path(path + suffix)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file; one that is there is replaced once the new one is complete."""
        file = QSaveFile(str(path))
        if file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(data) >= 0 and file.commit():
            self.said.emit(self.tr("Saved {path}.").format(path=path))
        else:
            self.rejected.emit(
                self.tr("{path} cannot be written: {reason}. Nothing was changed.").format(
                    path=path, reason=file.errorString()
                )
            )

    def write_later(self, path: Path, make: Callable[[], bytes]) -> None:
        """Write what ``make`` returns, which takes a while and is done beside the window."""

        def job(_: StopToken) -> bytes:
            return make()

        self._path = path
        self._jobs.start(job)

    @Slot(object)
    def _on_made(self, data: bytes) -> None:
        self.write(self._path, data)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        raise error
