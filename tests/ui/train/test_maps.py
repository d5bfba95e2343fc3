from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from convviz.core import display, presets
from convviz.core.display import as_pictures
from convviz.core.layers import Conv2d
from convviz.core.stack import Stack
from convviz.nn.probe import Probe
from convviz.ui import theme
from convviz.ui.train.maps import MapsPanel
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.color_map import color_map
from convviz.ui.widgets.mosaic import Mosaic, pixels_of
from convviz.ui.widgets.scope import EACH, FIXED, LAYER
from convviz.ui.widgets.tool_row import Heading
from tests.ui.paints import look_alike, on_screen

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STACK = presets.small_cnn()
LEFT = Qt.MouseButton.LeftButton


def probe_of(layer: int = 0, sample: int = 0, seed: int = 0, scale: float = 1.0, prediction: int = 1) -> Probe:
    """A look at the small CNN with random numbers: truth “car”, 0.55 for one class, 0.05 for each other one."""
    rng = np.random.default_rng(seed)
    shape = STACK.shapes[layer + 1]
    probabilities = np.full(10, 0.05, np.float32)
    probabilities[prediction] = 0.55
    return Probe(
        kernels=tuple(
            (index, (scale * rng.normal(size=one.weight.shape)).astype(np.float32))
            for index, one in enumerate(STACK.layers)
            if isinstance(one, Conv2d)
        ),
        maps=(scale * rng.normal(size=shape if len(shape) == 3 else (*shape, 1, 1))).astype(np.float32),
        picture=rng.integers(0, 256, (3, 32, 32), dtype=np.uint8),
        truth=1,
        prediction=prediction,
        probabilities=probabilities,
        layer_index=layer,
        sample_index=sample,
    )


@pytest.fixture
def panel(qtbot: QtBot, light: QApplication) -> MapsPanel:
    """The panel, 1000 × 600 px, with a first look at layer 1."""
    panel = MapsPanel()
    qtbot.addWidget(panel)
    panel.resize(1000, 600)
    panel.set_num_samples(40)
    panel.show_probe(probe_of(), CLASSES, STACK)
    with qtbot.waitActive(panel):
        panel.show()
        panel.activateWindow()
    light.processEvents()
    return panel


def button(panel: QWidget, name: str) -> FlatButton:
    (found,) = (one for one in panel.findChildren(FlatButton) if one.accessibleName() == name)
    return found


def colors(mosaic: Mosaic, index: int, shape: tuple[int, int]) -> NDArray[np.uint32]:
    """The colours in the middle of a map's cells."""
    image, box = mosaic.viewport().grab().toImage(), mosaic.map_rect(index)
    height, width = shape
    found = np.zeros(shape, np.uint32)
    for row in range(height):
        for col in range(width):
            place = QPointF((col + 0.5) * box.width() / width, (row + 0.5) * box.height() / height)
            found[row, col] = image.pixel((box.topLeft() + place).toPoint())
    return found


def expected(values: NDArray[np.float32], level: float) -> NDArray[np.uint32]:
    return color_map(False).argb[display.to_index(values, level)]


# ---- the look


def test_maps_have_the_colours_of_their_layer(panel: MapsPanel) -> None:
    probe = probe_of(layer=3)
    panel.show_probe(probe, CLASSES, STACK)
    level = float(np.abs(probe.maps).max())
    assert panel.maps.num_maps == 16
    assert np.array_equal(colors(panel.maps, 5, (12, 12)), expected(probe.maps[5], level))
    assert float(panel.maps_bar.ends[1]) == pytest.approx(level, rel=0.01)
    assert panel.maps_bar.ends[0] == f"−{panel.maps_bar.ends[1]}"


def test_maps_without_negative_numbers_have_colours_from_zero(panel: MapsPanel) -> None:
    probe = probe_of()
    panel.show_probe(replace(probe, maps=np.abs(probe.maps)), CLASSES, STACK)
    assert panel.maps_bar.ends[0] == "0"


@pytest.mark.parametrize("scope", [EACH, LAYER, FIXED])
def test_the_colour_scope(panel: MapsPanel, scope: str) -> None:
    first, later = probe_of(), probe_of(seed=1, scale=3.0)
    button(panel, scope.capitalize()).click()
    panel.show_probe(later, CLASSES, STACK)
    level = {
        EACH: np.abs(later.maps[2]).max(),
        LAYER: np.abs(later.maps).max(),
        FIXED: np.abs(first.maps).max(),
    }[scope]
    assert np.array_equal(colors(panel.maps, 2, (28, 28)), expected(later.maps[2], float(level)))
    assert (panel.maps_bar.ends[1] == "max") is (scope == EACH)


def test_kernels_are_shown_in_colour_and_by_channel(panel: MapsPanel) -> None:
    weight = probe_of().kernels[0][1]
    level = float(np.abs(weight).max())
    assert panel.kernels.num_maps == 8
    assert np.array_equal(colors(panel.kernels, 3, (5, 5)), pixels_of(as_pictures(weight, level))[3])
    button(panel, "Channels").click()
    assert panel.kernels.num_maps == 24
    assert panel.kernels.name(10) == "3 G"
    assert np.array_equal(colors(panel.kernels, 10, (5, 5)), expected(weight[3, 1], level))


def test_the_kernels_of_a_chosen_convolution_are_shown(panel: MapsPanel) -> None:
    panel.show_probe(probe_of(layer=3), CLASSES, STACK)
    assert panel.kernels.num_maps == 16 * 8
    assert button(panel, "Colour").isHidden() or not button(panel, "Colour").isVisible()


def test_a_stack_without_convolutions_has_no_kernels(panel: MapsPanel) -> None:
    stack = Stack((3, 32, 32), STACK.layers[2:3])
    maps = np.zeros((3, 16, 16), np.float32)
    panel.show_probe(replace(probe_of(), kernels=(), maps=maps), CLASSES, stack)
    assert not panel.kernels.isVisible()
    panel.show_probe(probe_of(), CLASSES, STACK)
    assert panel.kernels.isVisible()


def test_right_and_wrong_are_said_in_words(panel: MapsPanel) -> None:
    assert panel.sample.accessibleDescription() == "truth car, predicted car, ✓ right, 55 %"
    panel.show_probe(probe_of(prediction=9), CLASSES, STACK)
    assert panel.sample.accessibleDescription() == "truth car, predicted truck, ✗ wrong, 55 %"


def test_what_has_not_changed_stays_on_the_screen(panel: MapsPanel, light: QApplication) -> None:
    first = probe_of()
    surer = replace(first, probabilities=np.where(np.arange(10) == 1, 0.91, 0.01).astype(np.float32))
    for probe in (first, surer, probe_of(prediction=9), probe_of(sample=3, seed=1)):
        panel.show_probe(probe, CLASSES, STACK)
        light.processEvents()
        assert look_alike(on_screen(panel), panel.grab().toImage())


def test_the_picture_is_enlarged_without_smoothing(panel: MapsPanel) -> None:
    picture = probe_of().picture
    image = panel.sample.grab().toImage()
    side = min(panel.sample.width() - 2, panel.sample.height() - 2 - round((3 * 2.25 + 0.75) * theme.unit())) / 32
    middle = [1 + round((k + 0.5) * side) for k in range(32)]
    found = np.array([[image.pixel(x, y) for x in middle] for y in middle], np.uint32)
    assert np.array_equal(found, pixels_of(picture[None])[0])


def test_all_classes_are_listed_in_their_order(panel: MapsPanel) -> None:
    words = panel.probabilities.accessibleDescription()
    assert words == ", ".join(f"{name} {55 if name == 'car' else 5} %" for name in CLASSES)


def test_of_many_classes_the_most_probable_are_listed(panel: MapsPanel) -> None:
    classes = tuple(f"class {k}" for k in range(100))
    probabilities = (np.arange(100) / 4950).astype(np.float32)
    panel.show_probe(replace(probe_of(), prediction=99, probabilities=probabilities), classes, STACK)
    words = panel.probabilities.accessibleDescription()
    assert words.startswith("class 99 2 %, class 98 2 %")
    assert words.count("class") == 12


def test_a_vector_is_one_map_of_its_numbers(panel: MapsPanel) -> None:
    panel.show_probe(probe_of(layer=7), CLASSES, STACK)
    assert panel.maps.num_maps == 1
    panel.maps.activated.emit(0)
    assert panel.enlarged.title == "All numbers of 8 Linear 128"
    assert panel.enlarged.grids[0].content.values.size >= 128
    assert panel.enlarged.grids[0].content.row_step == panel.enlarged.grids[0].content.values.shape[1]


# ---- choices


def test_a_layer_is_chosen_by_its_name(qtbot: QtBot, panel: MapsPanel) -> None:
    box = panel._layer
    names = [box.itemText(k) for k in range(box.count())]
    assert names[:4] == ["1 Conv 5×5", "2 ReLU", "3 MaxPool 2×2", "4 Conv 3×3"]
    with qtbot.waitSignal(panel.layer_chosen) as chosen:
        box.setCurrentIndex(3)
        box.activated.emit(3)
    assert chosen.args == [3]
    panel.show_probe(probe_of(layer=0, seed=1), CLASSES, STACK)  # looked at before the choice arrived
    assert box.currentText() == "4 Conv 3×3"
    panel.show_probe(probe_of(layer=3), CLASSES, STACK)
    assert (box.currentText(), panel.maps.num_maps) == ("4 Conv 3×3", 16)


def test_a_sample_is_chosen_by_steps_and_by_number(qtbot: QtBot, panel: MapsPanel) -> None:
    chosen: list[int] = []
    panel.sample_chosen.connect(chosen.append)
    forward, back = button(panel, "Sample: next"), button(panel, "Sample: previous")
    assert not back.isEnabled()
    forward.click()
    forward.click()
    back.click()
    assert chosen == [1, 2, 1]
    panel.show_probe(probe_of(sample=39), CLASSES, STACK)
    assert not forward.isEnabled()
    assert chosen == [1, 2, 1]


# ---- one of them enlarged


def test_a_click_enlarges_a_map_with_its_numbers_and_escape_closes_it(qtbot: QtBot, panel: MapsPanel) -> None:
    place = panel.maps.map_rect(4).center().toPoint()
    qtbot.mouseClick(panel.maps.viewport(), LEFT, pos=place)
    grid = panel.enlarged.grids[0]
    assert panel.enlarged.title == "Map 4 of 1 Conv 5×5"
    assert np.array_equal(grid.content.values, probe_of().maps[4])
    assert not panel.maps.isVisible()
    panel.show_probe(probe_of(seed=1), CLASSES, STACK)
    assert np.array_equal(grid.content.values, probe_of(seed=1).maps[4])
    qtbot.keyClick(grid, Qt.Key.Key_Escape)
    assert panel.maps.isVisible()
    assert panel.maps.hasFocus()


def test_a_click_on_a_cell_enlarges_the_map_around_it(qtbot: QtBot, panel: MapsPanel) -> None:
    box = panel.maps.map_rect(4)
    place = (box.topLeft() + QPointF(24.5 * box.width() / 28, 3.5 * box.height() / 28)).toPoint()
    qtbot.mouseMove(panel.maps.viewport(), place)
    qtbot.mouseClick(panel.maps.viewport(), LEFT, pos=place)
    QApplication.processEvents()
    geometry = panel.enlarged.grids[0].geometry_of_cells
    assert geometry.viewport.contains(geometry.cell_rect(3, 24))
    assert not geometry.viewport.contains(geometry.all_cells)
    assert geometry.cell >= 5 * theme.unit()  # so that the numbers can be read


def test_return_enlarges_the_chosen_kernel(qtbot: QtBot, panel: MapsPanel) -> None:
    weight = probe_of().kernels[0][1]
    panel.kernels.setFocus()
    qtbot.keyClick(panel.kernels, Qt.Key.Key_Right)
    assert panel.kernels.isVisible()
    qtbot.keyClick(panel.kernels, Qt.Key.Key_Return)
    grids = panel.enlarged.grids
    assert [np.array_equal(grid.content.values, weight[0, k]) for k, grid in enumerate(grids)] == [True] * 3
    assert all(grid.isVisible() for grid in grids)
    button(panel, "Show all maps and kernels").click()
    button(panel, "Channels").click()
    panel.kernels.activated.emit(10)
    assert panel.enlarged.title == "Kernel 3 of 1 Conv 5×5, channel G"
    assert np.array_equal(grids[0].content.values, weight[3, 1])
    assert [grid.isVisible() for grid in grids] == [True, False, False]


def test_another_layer_closes_an_enlarged_map(panel: MapsPanel) -> None:
    panel.maps.activated.emit(4)
    panel.show_probe(probe_of(layer=3), CLASSES, STACK)
    assert panel.maps.isVisible()


# ---- look


def test_it_is_empty_before_the_first_look_and_when_cleared(panel: MapsPanel) -> None:
    button(panel, "Fixed").click()
    panel.clear()
    assert not panel.maps.isVisible()
    panel.show_probe(probe_of(scale=4.0), CLASSES, STACK)
    assert panel.maps.isVisible()
    assert float(panel.maps_bar.ends[1]) == pytest.approx(float(np.abs(probe_of(scale=4.0).maps).max()), rel=0.01)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("size", [(560, 300), (1400, 900)])
def test_controls_are_neither_cut_nor_overlapping(
    qtbot: QtBot, light: QApplication, panel: MapsPanel, mode: theme.Mode, scale: float, size: tuple[int, int]
) -> None:
    theme.apply(light, mode, scale)
    panel.resize(*size)
    for _ in range(3):
        light.processEvents()

    def in_place() -> None:
        for row in (panel._tools, panel._kernel_tools):
            boxes = [tool.geometry() for tool in row.children() if isinstance(tool, QWidget) and tool.isVisible()]
            assert all(row.rect().contains(box) for box in boxes)
            assert not any(a.intersects(b) for k, a in enumerate(boxes) for b in boxes[:k])

    qtbot.waitUntil(in_place)  # rows that fold change the heights around them, which takes some rounds of layout
    assert panel.grab().toImage().pixelColor(panel.width() // 2, 3) == theme.colors(QApplication.palette()).surface


def test_every_control_has_a_name_and_a_tooltip(panel: MapsPanel) -> None:
    widgets = [one for one in panel.findChildren(QWidget) if one.isVisible() and not isinstance(one, QLineEdit)]
    stops = [one for one in widgets if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert {panel.maps, panel.kernels, panel.probabilities} < {*stops}
    assert [stop for stop in stops if not stop.toolTip() or not stop.accessibleName()] == []


def test_headings_follow_the_scale(light: QApplication, panel: MapsPanel) -> None:
    theme.apply(light, "light", 2.0)
    light.processEvents()
    headings = panel.findChildren(Heading)
    assert {heading.font().pixelSize() for heading in headings} == {light.font().pixelSize()}
    assert all(heading.font().bold() for heading in headings)
