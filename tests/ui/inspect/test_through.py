from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.nn.build import build
from convviz.nn.network import Network, network_of, to_unit_range
from convviz.ui import theme
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.session import LabUnit, Picture
from convviz.ui.inspect.through import ThroughPanel
from convviz.ui.widgets.buttons import FlatButton
from tests.nn.train_cases import tiny_dataset
from tests.ui.inspect.widgets import button, lay_out, press

LONG_MS = 30_000
CLASSES = tuple("abcdefghij")
LEFT = Qt.MouseButton.LeftButton


def small_network(stack: Stack | None = None) -> Network:
    """The small CNN with the weights that it is drawn with."""
    stack = PRESETS["small_cnn"]() if stack is None else stack
    return network_of("Small CNN", "preset", build(stack), to_unit_range(stack.input_shape), CLASSES)


def picture(seed: int = 0) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (3, 32, 32), dtype=np.uint8), f"noise {seed}")


@pytest.fixture
def model(threads: None, tiny_data: None) -> Iterator[InspectModel]:
    model = InspectModel()
    yield model
    model.cancel()


@pytest.fixture
def panel(qtbot: QtBot, light: QApplication, model: InspectModel) -> ThroughPanel:
    """The panel with the small CNN's first layer on a picture of noise."""
    panel = ThroughPanel(model)
    qtbot.addWidget(panel)
    panel.resize(1100, 620)
    with qtbot.waitActive(panel):
        panel.show()
        panel.activateWindow()
    model.picture = picture()
    model._take_network(small_network())
    seen(qtbot, model)
    qtbot.waitUntil(lambda: not model.is_loading_data, timeout=LONG_MS)
    lay_out(panel)
    return panel


def seen(qtbot: QtBot, model: InspectModel) -> None:
    """Wait until what is seen is what is wanted."""

    def up_to_date() -> bool:
        newest = model.seen
        if newest is None or model.layer is None:
            return False
        wanted = newest.wanted
        return (wanted.layer_name, wanted.unit, wanted.cover, wanted.picture, wanted.preprocessing) == (
            model.layer.name,
            model.unit,
            model.cover,
            model.picture,
            model.preprocessing,
        )

    qtbot.waitUntil(up_to_date, timeout=LONG_MS)


def test_without_a_network_it_says_so(qtbot: QtBot, light: QApplication, model: InspectModel) -> None:
    panel = ThroughPanel(model)
    qtbot.addWidget(panel)
    panel.show()
    assert panel._hint.isVisible()
    assert not panel.maps.isVisible()


def test_the_maps_are_those_of_a_forward_hook(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    for name in ("0", "1", "2", "3", "9"):
        model.choose_layer(name)
        seen(qtbot, model)
        assert model.seen is not None
        assert model.picture is not None
        x = torch.from_numpy(model.picture.pixels[None]).float() / 127.5 - 1
        with torch.inference_mode():
            expected = build(PRESETS["small_cnn"]())[: int(name) + 1](x)[0].numpy()
        np.testing.assert_allclose(model.seen.look.maps.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
        assert panel._layer.currentData() == name
    assert panel.maps.num_maps == 1  # ten numbers, as the cells of one map


def test_a_click_on_a_cell_shows_what_the_unit_sees(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    assert not button(panel, "Open in Lab").isEnabled()

    def place() -> QPoint:
        cell = panel.maps.cell_px
        return (panel.maps.map_rect(2).topLeft() + QPointF(12.5 * cell, 8.5 * cell)).toPoint()

    point = None
    while point != place():  # moving the pointer lets the layout come to rest
        point = place()
        qtbot.mouseMove(panel.maps.viewport(), point)
    qtbot.mouseClick(panel.maps.viewport(), LEFT, pos=point)
    assert model.unit == (2, 8, 12)
    seen(qtbot, model)
    assert model.seen is not None
    assert panel.unit._title.text() == "Unit (8, 12) of channel 2"
    assert panel.unit._sees.text() == "It sees rows 8 to 12, columns 12 to 16 of the picture: 5×5×3."
    assert panel.picture._region == (range(8, 13), range(12, 17))
    assert panel.maps.chosen_map == 2
    assert button(panel, "Open in Lab").isEnabled()


def test_what_a_deep_unit_sees_is_drawn_on_every_layer_before(
    qtbot: QtBot, panel: ThroughPanel, model: InspectModel
) -> None:
    model.choose_layer("5")
    model.choose_unit((3, 2, 2))
    seen(qtbot, model)
    assert [f"{part.name} {part.kind}" for part in panel.regions._parts] == [
        "0 Conv2d",
        "1 ReLU",
        "2 MaxPool2d",
        "3 Conv2d",
        "4 ReLU",
    ]
    stack = PRESETS["small_cnn"]()
    for index, part in enumerate(panel.regions._parts):
        region = stack.input_region(5, (2, 2), index)
        assert (part.rows, part.cols, part.size) == (region.rows, region.cols, stack.shapes[index + 1][1:])


def test_a_grey_patch_changes_maps_and_prediction(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    assert model.seen is not None
    before = model.seen
    press(panel, "Grey patch")
    seen(qtbot, model)
    assert (model.seen.read[:, 12:20, 12:20] == 128).all()
    assert not np.array_equal(model.seen.look.maps, before.look.maps)
    panel.picture.dragged.emit(4, 4)
    seen(qtbot, model)
    assert (model.seen.read[:, 0:8, 0:8] == 128).all()
    press(panel, "Grey patch")
    seen(qtbot, model)
    assert np.array_equal(model.seen.look.maps, before.look.maps)


def test_preprocessing_is_shown_and_can_be_changed(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    assert panel._prepare.text() == "32×32, (x − 0.5) / 0.5"
    panel._prepare.click()
    row = panel.preprocessing
    assert row.isVisible()
    row.mean_field.selectAll()
    qtbot.keyClicks(row.mean_field, "0.4, 0.5, 0.6")
    qtbot.keyClick(row.mean_field, Qt.Key.Key_Return)
    seen(qtbot, model)
    assert model.preprocessing is not None
    assert model.preprocessing.mean == (0.4, 0.5, 0.6)
    assert panel._prepare.text() == "32×32, (x − μ) / σ"


@pytest.mark.parametrize(("name", "title"), [("Grad-CAM", "Grad-CAM for"), ("Occlusion", "Occlusion for")])
def test_what_speaks_for_the_class_is_laid_over_the_picture(
    qtbot: QtBot, panel: ThroughPanel, model: InspectModel, name: str, title: str
) -> None:
    press(panel, name)
    qtbot.waitUntil(lambda: model.attribution is not None, timeout=LONG_MS)
    assert panel.result.isVisible()
    assert panel.result._title.text().startswith(title)
    qtbot.keyClick(panel, Qt.Key.Key_Escape)
    assert panel.maps.isVisible()


def test_a_channel_is_maximised(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    model.choose_layer("3")
    model.choose_unit((3, 2, 2))
    seen(qtbot, model)
    press(panel, "Maximise")
    qtbot.waitUntil(lambda: model.attribution is not None, timeout=LONG_MS)
    assert panel.result._title.text() == "Channel 3 of layer 3, maximised"
    assert panel.result.picture.isVisible()


def test_the_unit_goes_to_the_lab_with_its_own_activation(
    qtbot: QtBot, panel: ThroughPanel, model: InspectModel
) -> None:
    model.choose_layer("3")
    model.choose_unit((3, 2, 2))
    seen(qtbot, model)
    with qtbot.waitSignal(model.lab_ready, timeout=LONG_MS) as blocker:
        press(panel, "Open in Lab")
    assert blocker.args is not None
    (unit,) = blocker.args
    assert isinstance(unit, LabUnit)
    assert model.seen is not None
    lab = unit.for_lab
    assert lab.stack.forward(lab.input)[lab.current][unit.unit] == pytest.approx(model.seen.value, rel=1e-4)


def test_the_arrows_lead_back_from_an_own_picture(qtbot: QtBot, panel: ThroughPanel, model: InspectModel) -> None:
    model.dataset = tiny_dataset()
    model.data_changed.emit()
    model.show_sample(0)
    previous, following = (button(panel, f"Picture: {name}") for name in ("previous", "next"))
    assert (previous.isEnabled(), following.isEnabled()) == (False, True)
    for arrow in (previous, following):
        model.show_picture(picture())
        assert (previous.isEnabled(), following.isEnabled()) == (True, True)
        arrow.click()
        assert model.picture is not None
        assert (model.picture.name, model.picture.label != "") == (f"{model.dataset.name} 0", True)
        assert not previous.isEnabled()
    following.click()
    assert model.picture is not None
    assert model.picture.name == f"{model.dataset.name} 1"


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_size_of_the_patch_can_be_read(panel: ThroughPanel, light: QApplication, scale: float) -> None:
    theme.apply(light, "light", scale)
    panel._covers.click()
    lay_out(panel)
    arrows = max(button.width() for button in panel._cover_side.findChildren(FlatButton))
    text = theme.text_width(theme.font(), "32")
    assert panel._cover_side.maximum() == 32
    assert panel._cover_side.lineEdit().width() - arrows > text


def test_another_network_leaves_an_own_picture_and_the_way_back(
    qtbot: QtBot, panel: ThroughPanel, model: InspectModel
) -> None:
    model.dataset = tiny_dataset()
    model.show_picture(picture())
    model.data_changed.emit()
    assert button(panel, "Picture: previous").isEnabled()


def test_the_buttons_stay_however_much_is_said_of_the_unit(
    qtbot: QtBot, panel: ThroughPanel, model: InspectModel
) -> None:
    lab, places = button(panel, "Open in Lab"), set()
    for layer, unit in (("0", (0, 3, 3)), ("3", (1, 0, 0)), ("5", (1, 2, 2))):
        model.choose_layer(layer)
        model.choose_unit(unit)
        seen(qtbot, model)
        lay_out(panel)
        places.add(lab.mapTo(panel, QPoint()).y())
    assert len(places) == 1
