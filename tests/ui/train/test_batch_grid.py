import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.train.batch_grid import BatchGrid
from convviz.ui.widgets.card import Hint
from convviz.ui.widgets.mosaic import pixels_of

CLASSES = ("cat", "dog", "a class with a very long name indeed")


@pytest.fixture
def grid(qtbot: QtBot, light: QApplication) -> BatchGrid:
    grid = BatchGrid()
    qtbot.addWidget(grid)
    grid.resize(560, 300)
    grid.show()
    return grid


def test_before_the_first_batch_it_says_when_there_will_be_one(grid: BatchGrid) -> None:
    (hint,) = grid.findChildren(Hint)
    assert hint.isVisible()
    assert not grid.pictures.isVisible()
    grid.show_batch(np.zeros((1, 3, 8, 8), np.uint8), np.zeros(1, np.int64), CLASSES)
    assert not hint.isVisible()
    assert grid.pictures.isVisible()


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_shown_as_they_are_with_their_labels(grid: BatchGrid, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, channels, 8, 8), dtype=np.uint8)
    grid.show_batch(images, np.array([0, 1, 2, 2, 1, 0]), CLASSES)
    mosaic = grid.pictures
    assert [mosaic.name(k) for k in range(6)] == [CLASSES[k] for k in (0, 1, 2, 2, 1, 0)]
    image, box = mosaic.viewport().grab().toImage(), mosaic.map_rect(4)
    side = box.width() / 8
    found = [
        [image.pixel((box.topLeft() + QPointF((j + 0.5) * side, (i + 0.5) * side)).toPoint()) for j in range(8)]
        for i in range(8)
    ]
    assert np.array_equal(np.array(found, np.uint32), pixels_of(images)[4])


def test_a_batch_is_as_large_as_it_has_room(grid: BatchGrid) -> None:
    images, labels = np.zeros((64, 3, 8, 8), np.uint8), np.zeros(64, np.int64)
    sides = []
    for count in (1, 8, 64):
        grid.show_batch(images[:count], labels[:count], CLASSES)
        sides.append(grid.pictures.cell_px)
        assert grid.pictures.num_maps == count
    assert sides[0] > sides[1] > sides[2]


@pytest.mark.parametrize("scale", [0.75, 2.0, 3.0])
def test_theme_and_scale_are_followed(light: QApplication, grid: BatchGrid, scale: float) -> None:
    grid.show_batch(np.zeros((4, 3, 8, 8), np.uint8), np.zeros(4, np.int64), CLASSES)
    theme.apply(light, "dark", scale)
    light.processEvents()
    picture = grid.grab().toImage()
    assert picture.pixelColor(grid.width() // 2, 3) == theme.DARK.surface
    assert grid.minimumSizeHint().width() >= 30 * theme.unit() - 1
