"""Palettes, data colours, fonts, spacing and tinted icons.

Chrome takes its colours from the application palette, so every standard widget follows the theme. Data colours have one
meaning each and are the same everywhere: amber is the moving window and the current output cell, teal the receptive
field, blue the primary action. All sizes follow the application font, so one number, the scale, resizes the interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QFontMetricsF,
    QGuiApplication,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QProxyStyle, QStyle, QStyleOption, QWidget

from convviz.resources import resource

Mode = Literal["system", "light", "dark"]

MIN_SCALE, MAX_SCALE = 0.75, 3.0
BASE_FONT_PX = 14
LATIN_FAMILIES = ("Inter", "Noto Sans", "Ubuntu", "Cantarell", "Liberation Sans", "DejaVu Sans")
CJK_FAMILIES = ("Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei UI", "PingFang SC")


@dataclass(frozen=True)
class Colors:
    """Colours that carry a meaning, for one theme."""

    window: QColor  # the moving window and the current output cell
    window_text: QColor  # the same meaning, dark or bright enough for text
    receptive_field: QColor
    reader: QColor  # output cells that read the chosen input cell
    error: QColor
    surface: QColor  # cards and panels
    border: QColor
    muted: QColor  # secondary text
    padding: QColor  # fill of padding cells
    hatch: QColor
    blank: QColor  # an output cell that is not computed yet


LIGHT = Colors(
    window=QColor("#E57C0B"),
    window_text=QColor("#B65C00"),
    receptive_field=QColor("#0B8577"),
    reader=QColor("#2A62DB"),
    error=QColor("#B3261E"),
    surface=QColor("#FFFFFF"),
    border=QColor("#D5D9E2"),
    muted=QColor("#5A6273"),
    padding=QColor("#EEF1F6"),
    hatch=QColor("#B4BDCC"),
    blank=QColor("#F7F8FA"),
)
DARK = Colors(
    window=QColor("#FFA03C"),
    window_text=QColor("#FFB25E"),
    receptive_field=QColor("#35CDB6"),
    reader=QColor("#7FA8FF"),
    error=QColor("#FF8A80"),
    surface=QColor("#1C212C"),
    border=QColor("#363D4C"),
    muted=QColor("#A3ACBD"),
    padding=QColor("#232936"),
    hatch=QColor("#4A5468"),
    blank=QColor("#161A23"),
)


def _palette(dark: bool) -> QPalette:
    colors = DARK if dark else LIGHT
    window = QColor("#12151C" if dark else "#F3F4F7")
    text = QColor("#E8EBF2" if dark else "#171A21")
    accent = QColor("#6D9BFF" if dark else "#2A62DB")
    button = QColor("#272D3A" if dark else "#F3F4F7")
    roles = {
        QPalette.ColorRole.Window: window,
        QPalette.ColorRole.WindowText: text,
        QPalette.ColorRole.Base: colors.surface,
        QPalette.ColorRole.AlternateBase: window,
        QPalette.ColorRole.Text: text,
        QPalette.ColorRole.Button: button,
        QPalette.ColorRole.ButtonText: text,
        QPalette.ColorRole.BrightText: QColor("#FFFFFF"),
        QPalette.ColorRole.Highlight: accent,
        QPalette.ColorRole.HighlightedText: QColor("#0E1116" if dark else "#FFFFFF"),
        QPalette.ColorRole.Accent: accent,
        QPalette.ColorRole.Link: accent,
        QPalette.ColorRole.ToolTipBase: QColor("#2B3240" if dark else "#20242D"),
        QPalette.ColorRole.ToolTipText: QColor("#F2F4F8"),
        QPalette.ColorRole.PlaceholderText: colors.muted,
        QPalette.ColorRole.Light: colors.border.lighter(115),
        QPalette.ColorRole.Midlight: colors.border,
        QPalette.ColorRole.Mid: colors.border,
        QPalette.ColorRole.Dark: colors.hatch,
        QPalette.ColorRole.Shadow: QColor("#000000" if dark else "#8A93A5"),
    }
    palette = QPalette()
    for role, color in roles.items():
        palette.setColor(role, color)
    faded = QColor("#6F788A" if dark else "#8F97A6")
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, faded)
    palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, colors.hatch)
    return palette


class ScaledFusion(QProxyStyle):
    """Fusion whose fixed pixel sizes (scroll bars, indicators, icons) follow the interface scale."""

    SCALED = frozenset(
        {
            QStyle.PixelMetric.PM_ScrollBarExtent,
            QStyle.PixelMetric.PM_IndicatorWidth,
            QStyle.PixelMetric.PM_IndicatorHeight,
            QStyle.PixelMetric.PM_SmallIconSize,
            QStyle.PixelMetric.PM_ButtonIconSize,
            QStyle.PixelMetric.PM_ToolBarExtensionExtent,
            QStyle.PixelMetric.PM_MessageBoxIconSize,
        }
    )

    def __init__(self, scale: float) -> None:
        super().__init__("Fusion")
        self._scale = scale

    def pixelMetric(
        self, metric: QStyle.PixelMetric, option: QStyleOption | None = None, widget: QWidget | None = None
    ) -> int:
        """Return Fusion's metric, times the scale where it is a size that a reader or a pointer depends on."""
        value = super().pixelMetric(metric, option, widget)
        return round(value * self._scale) if metric in self.SCALED else value


def system_is_dark() -> bool:
    """Return whether the desktop asks for a dark theme."""
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def apply(app: QApplication, mode: Mode, scale: float) -> None:
    """Give the application its palette and font. ``scale`` is 1.0 at 100 %."""
    scale = min(MAX_SCALE, max(MIN_SCALE, scale))
    dark = system_is_dark() if mode == "system" else mode == "dark"
    base = QFont(_families())
    base.setPixelSize(round(BASE_FONT_PX * scale))
    for kept in (unit, font, _line_metrics):
        kept.cache_clear()
    app.setFont(base)
    app.setPalette(_palette(dark))
    app.setStyle(ScaledFusion(scale))


def _families() -> list[str]:
    """Return the desktop's own font, or where none is set the best there is; then the fonts for Chinese."""
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    family = QFontInfo(system).family()
    installed = set(QFontDatabase.families())
    if family != system.family():  # "Sans Serif" and the like: no desktop has chosen
        family = next((name for name in LATIN_FAMILIES if name in installed), family)
    return [family] + [name for name in CJK_FAMILIES if name in installed][:1]


_DARKNESS: dict[int, bool] = {}
"""Whether palettes are dark, by their cache keys."""
MOST_PALETTES = 100


def is_dark(palette: QPalette) -> bool:
    """Return whether a palette belongs to the dark theme."""
    key = palette.cacheKey()
    if key not in _DARKNESS:
        if len(_DARKNESS) > MOST_PALETTES:
            _DARKNESS.clear()
        _DARKNESS[key] = palette.color(QPalette.ColorRole.Window).lightness() < 128
    return _DARKNESS[key]


def colors(palette: QPalette) -> Colors:
    """Return the colours with a meaning that go with a palette."""
    return DARK if is_dark(palette) else LIGHT


@lru_cache(maxsize=1)
def unit() -> float:
    """Return the spacing unit: 8 px at 100 %, growing with the font."""
    return 8 * QApplication.font().pixelSize() / BASE_FONT_PX


@lru_cache(maxsize=64)
def font(size: float = 1.0, bold: bool = False) -> QFont:
    """Return the application's font with tabular digits, ``size`` times as large; it is kept, and not to be changed."""
    result = QApplication.font()
    result.setPixelSize(max(6, round(result.pixelSize() * size)))
    result.setBold(bold)
    result.setFeature(QFont.Tag("tnum"), 1)
    return result


def mute(widget: QWidget) -> None:
    """Give a widget the colour of secondary text."""
    palette = QApplication.palette()
    palette.setColor(QPalette.ColorRole.WindowText, colors(palette).muted)
    widget.setForegroundRole(QPalette.ColorRole.WindowText)  # on a panel it would otherwise be Text
    widget.setPalette(palette)


class LineMetrics:
    """Widths of single lines in one font, summed up from the characters' widths, which are asked for once each."""

    def __init__(self, font: QFont) -> None:
        self._metrics = QFontMetricsF(font)
        self._advances: dict[str, float] = {}
        self.width = lru_cache(maxsize=4096)(self._width)
        """The width of a line in px, kerning left out."""
        self.ascent = self._metrics.ascent()
        self.baseline = (self._metrics.ascent() - self._metrics.descent()) / 2
        """Distance from the vertical middle of a line down to its baseline, px."""

    def _width(self, text: str) -> float:
        advances = self._advances
        try:
            return sum([advances[character] for character in text])
        except KeyError:
            for character in text:
                advances[character] = self._metrics.horizontalAdvance(character)
            return self._width(text)


def line_metrics(font: QFont) -> LineMetrics:
    """Return the metrics of a font made by ``font``, kept for the next time."""
    return _line_metrics(font.pixelSize(), font.bold())


@lru_cache(maxsize=128)
def _line_metrics(size: int, bold: bool) -> LineMetrics:
    sized = QFont(font(bold=bold))
    sized.setPixelSize(size)
    return LineMetrics(sized)


def text_width(font: QFont, text: str) -> float:
    """Return the width of one line of text in px."""
    return line_metrics(font).width(text)


@lru_cache(maxsize=256)
def _icon(name: str, rgba: int, width: int) -> QPixmap:
    color = QColor.fromRgba(rgba)
    source = resource(f"icons/{name}.svg").read_text(encoding="utf-8").replace("currentColor", color.name())
    pixmap = QPixmap(width, width)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(color.alphaF())
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, width, width))
    painter.end()
    return pixmap


def icon(name: str, color: QColor, size: float, ratio: float = 1.0) -> QPixmap:
    """Return ``resources/icons/<name>.svg`` in one colour, ``size`` px wide on a screen with ``ratio`` pixels a px."""
    pixmap = QPixmap(_icon(name, color.rgba(), max(1, round(size * ratio))))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
