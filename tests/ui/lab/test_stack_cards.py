from collections.abc import Callable

import pytest
from hypothesis import given
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu, QScrollArea, QToolTip
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import ReLU
from convviz.core.layers import Conv2d, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.stack import INPUT, Stack
from convviz.ui import theme
from convviz.ui.lab.layer_text import LAYER_KINDS, change_text
from convviz.ui.lab.stack_cards import KIND_GROUPS, CardList, CardState, StackCards, cards_of, place_at
from convviz.ui.widgets.buttons import FlatButton
from tests.core.stack_cases import stacks
from tests.ui.paints import PaintCounter

MISFIT = Stack((1, 7, 7), [Conv2d(1, 1, 3), Conv2d(1, 1, 9), ReLU()])
CONTROL, ALT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.NoModifier,
)


@pytest.fixture
def cards(qtbot: QtBot, light: QApplication) -> StackCards:
    """Four cards, the last of them current, with the keyboard."""
    cards = StackCards()
    qtbot.addWidget(cards)
    cards.show_stack(PRESETS["four_layers"](), 3)
    cards.resize(300, 260)
    with qtbot.waitActive(cards):
        cards.show()
        cards.activateWindow()
    cards.list.setFocus()
    return cards


def told(cards: StackCards) -> list[tuple[object, ...]]:
    """A list that grows with everything that the cards ask for."""
    told: list[tuple[object, ...]] = []
    for name in ("chosen", "add_requested", "removed", "duplicated", "moved", "switched", "preset_chosen"):
        getattr(cards, name).connect(lambda *values, name=name: told.append((name, *values)))
    for name in ("open_requested", "save_requested"):
        getattr(cards, name).connect(lambda name=name: told.append((name,)))
    return told


def follow(cards: StackCards, stack: Stack) -> None:
    """Reorder the stack as the cards ask for."""
    cards.moved.connect(lambda index, new_index: cards.show_stack(stack.move(index, new_index), new_index))


def mouse(cards: CardList, kind: QEvent.Type, point: QPointF) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = none if kind is QEvent.Type.MouseMove else left
    held = none if kind is QEvent.Type.MouseButtonRelease else left
    place = cards.mapToGlobal(point)
    QApplication.sendEvent(cards, QMouseEvent(kind, point, place, button, held, NONE))


def drag(cards: CardList, start: QPointF, end: QPointF) -> None:
    mouse(cards, QEvent.Type.MouseButtonPress, start)
    mouse(cards, QEvent.Type.MouseMove, end)


def drop(cards: CardList, end: QPointF) -> None:
    mouse(cards, QEvent.Type.MouseButtonRelease, end)


def button(cards: StackCards, name: str) -> FlatButton:
    (found,) = (one for one in cards.findChildren(FlatButton) if one.accessibleName() == name)
    return found


def actions(menu: QMenu) -> dict[str, Callable[[], None]]:
    """What the enabled entries of a menu do, by their words."""
    return {
        action.text().partition("\t")[0]: action.trigger
        for action in menu.actions()
        if action.isEnabled() and not action.isSeparator()
    }


def menu_of(cards: StackCards, entry: str) -> QMenu:
    (found,) = (menu for menu in cards.findChildren(QMenu) if entry in actions(menu))
    return found


# ---- words


def test_the_cards_of_the_design() -> None:
    cards = cards_of(PRESETS["four_layers"]())
    assert [(card.title, card.change) for card in cards] == [
        ("1 Conv 3×3", "12→10"),
        ("2 ReLU", "10→10"),
        ("3 MaxPool 2×2", "10→5"),
        ("4 Conv 3×3", "5→3"),
    ]
    assert cards[3].description == "4 Conv 3×3: 1×5×5 → 1×3×3"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ((64, 7, 7), (64, 4, 4), "7→4"),
        ((1, 12, 10), (1, 6, 5), "12×10→6×5"),
        ((1, 5, 4), (1, 4, 4), "5×4→4×4"),
        ((3, 32, 32), (8, 28, 28), "3×32×32→8×28×28"),
        ((16, 5, 5), (400,), "16×5×5→400"),
        ((400,), (120,), "400→120"),
    ],
)
def test_shapes_are_as_short_as_they_can_be(before: tuple[int, ...], after: tuple[int, ...], text: str) -> None:
    assert change_text(before, after) == text


def test_a_layer_that_is_off_says_so() -> None:
    card = cards_of(PRESETS["four_layers"]().switch(1, False))[1]
    assert (card.state, card.change) == (CardState.OFF, "off")
    assert "passes its input on" in card.description


def test_a_layer_that_does_not_fit_says_why() -> None:
    assert MISFIT.problem is not None
    fits, misfit, unreached = cards_of(MISFIT)
    assert (fits.state, fits.change) == (CardState.FITS, "7→5")
    assert (misfit.state, misfit.reason) == (CardState.MISFIT, MISFIT.problem.message)
    assert misfit.reason in misfit.description
    assert (unreached.state, unreached.reason) == (CardState.UNREACHED, "")
    assert "layer 2 does not fit" in unreached.description


@given(stacks())
def test_every_layer_has_a_card_with_its_state(stack: Stack) -> None:
    cards = cards_of(stack)
    assert len(cards) == len(stack.layers)
    for index, card in enumerate(cards):
        assert card.title.startswith(f"{index + 1} ")
        assert (card.state is CardState.OFF) == (not stack.is_on(index))
        assert (card.state is CardState.MISFIT) == (stack.problem is not None and stack.problem.index == index)
        assert (card.reason != "") == (card.state is CardState.MISFIT)
        if stack.is_on(index):
            assert (card.state is CardState.FITS) == (index + 1 < len(stack.shapes))


# ---- showing


def test_the_list_says_which_layer_is_current(cards: StackCards) -> None:
    assert cards.list.accessibleName() == "Layer 4 of 4, 4 Conv 3×3: 1×5×5 → 1×3×3, current"
    cards.show_stack(PRESETS["four_layers"](), 1)
    assert cards.list.accessibleName() == "Layer 2 of 4, 2 ReLU: 1×10×10 → 1×10×10, current"


def test_a_stack_that_reads_the_same_is_not_painted_again(qtbot: QtBot, cards: StackCards) -> None:
    qtbot.waitExposed(cards)
    QApplication.processEvents()
    paints = PaintCounter(cards.list)
    stack = PRESETS["four_layers"]()
    first = stack.layers[0]
    assert isinstance(first, Conv2d)
    cards.show_stack(stack.replace(0, first.changed(bias=[7.0])), 3)
    QApplication.processEvents()
    assert paints.count == 0
    cards.show_stack(stack, 2)
    QApplication.processEvents()
    assert paints.count == 1


def test_the_list_is_as_high_as_its_cards(cards: StackCards) -> None:
    unit = theme.unit()
    assert cards.list.heightForWidth(300) == pytest.approx(4 * 4 * unit + 3 * 0.75 * unit + 2, abs=1)
    cards.show_stack(MISFIT, 0)
    without_reason = 3 * 4 * unit + 2 * 0.75 * unit + 2
    assert cards.list.heightForWidth(300) > without_reason + 2 * unit
    assert cards.list.heightForWidth(900) < cards.list.heightForWidth(300)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_current_card_has_an_amber_frame(qtbot: QtBot, light: QApplication, mode: theme.Mode) -> None:
    theme.apply(light, mode, 2.0)
    cards = StackCards()
    qtbot.addWidget(cards)
    cards.show_stack(PRESETS["four_layers"](), 2)
    cards.resize(600, 500)
    picture = cards.list.grab().toImage()
    amber = theme.colors(cards.palette()).window
    edges = [QPointF(box.left(), box.center().y()).toPoint() for box in map(cards.list.box, range(4))]
    assert [near(picture.pixelColor(edge), amber) for edge in edges] == [False, False, True, False]


def near(color: QColor, other: QColor) -> bool:
    parts = ((color.red(), other.red()), (color.green(), other.green()), (color.blue(), other.blue()))
    return all(abs(part - other_part) < 40 for part, other_part in parts)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_the_tooltip_says_all_about_a_card(cards: StackCards) -> None:
    cards.show_stack(PRESETS["small_cnn"](), 0)
    point = cards.list.box(0).center().toPoint()
    QApplication.sendEvent(cards.list, QHelpEvent(QEvent.Type.ToolTip, point, cards.list.mapToGlobal(point)))
    assert QToolTip.text() == "1 Conv 5×5: 3×32×32 → 8×28×28"
    QToolTip.hideText()


def test_the_input_marks_no_card(cards: StackCards) -> None:
    cards.show_stack(PRESETS["four_layers"](), INPUT)
    assert "current" not in cards.list.accessibleName()


# ---- keyboard


def test_arrows_move_between_cards_and_space_chooses(qtbot: QtBot, cards: StackCards) -> None:
    asked = told(cards)
    qtbot.keyClick(cards.list, Qt.Key.Key_Space)
    assert asked == []  # the current layer is there already: the page may play
    qtbot.keyClick(cards.list, Qt.Key.Key_Up)
    qtbot.keyClick(cards.list, Qt.Key.Key_Up)
    assert cards.list.accessibleName().startswith("Layer 2 of 4")
    assert "current" not in cards.list.accessibleName()
    qtbot.keyClick(cards.list, Qt.Key.Key_Space)
    qtbot.keyClick(cards.list, Qt.Key.Key_Down)
    qtbot.keyClick(cards.list, Qt.Key.Key_Return)
    assert asked == [("chosen", 1), ("chosen", 2)]


@pytest.mark.parametrize(
    ("key", "modifier", "expected"),
    [
        (Qt.Key.Key_Up, ALT, [("moved", 3, 2)]),
        (Qt.Key.Key_Down, ALT, []),
        (Qt.Key.Key_Delete, NONE, [("removed", 3)]),
        (Qt.Key.Key_D, CONTROL, [("duplicated", 3)]),
        (Qt.Key.Key_X, NONE, []),
    ],
)
def test_keys_edit_the_card_that_has_the_keyboard(
    qtbot: QtBot, cards: StackCards, key: Qt.Key, modifier: Qt.KeyboardModifier, expected: list[tuple[object, ...]]
) -> None:
    asked = told(cards)
    qtbot.keyClick(cards.list, key, modifier)
    assert asked == expected


def test_a_card_keeps_the_keyboard_when_it_moves(qtbot: QtBot, cards: StackCards) -> None:
    stack = PRESETS["four_layers"]()
    cards.show_stack(stack, 0)
    follow(cards, stack)
    qtbot.keyClick(cards.list, Qt.Key.Key_Down, ALT)
    assert cards.list.cursor_index == 1
    assert [card.title for card in cards.list.cards][:2] == ["1 ReLU", "2 Conv 3×3"]


def test_the_last_layer_stays(qtbot: QtBot, cards: StackCards) -> None:
    cards.show_stack(Stack((1, 4, 4), [ReLU()]), 0)
    asked = told(cards)
    qtbot.keyClick(cards.list, Qt.Key.Key_Delete)
    assert asked == []
    assert set(actions(cards.list.menu(0))) == {"Switch off", "Duplicate"}


def test_the_keyboard_stays_on_a_card_when_layers_go(qtbot: QtBot, cards: StackCards) -> None:
    cards.show_stack(Stack((1, 4, 4), [ReLU()]), 0)
    assert cards.list.cursor_index == 0
    cards.show_stack(Stack((1, 4, 4)), INPUT)
    asked = told(cards)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Delete, Qt.Key.Key_Space):
        qtbot.keyClick(cards.list, key)
    assert asked == []


# ---- pointer


def test_a_click_chooses(cards: StackCards) -> None:
    asked = told(cards)
    place = cards.list.box(1).center()
    mouse(cards.list, QEvent.Type.MouseButtonPress, place)
    drop(cards.list, place)
    assert asked == [("chosen", 1)]
    assert cards.list.cursor_index == 1


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("new_index", range(4))
def test_a_card_goes_where_it_is_dragged(cards: StackCards, index: int, new_index: int) -> None:
    asked = told(cards)
    start, target = cards.list.box(index).center(), cards.list.box(new_index).center()
    end = target + QPointF(0, 9 if new_index > index else -9 if new_index < index else 0)
    drag(cards.list, start, end)
    drop(cards.list, end)
    if index == new_index:
        assert asked == [("chosen", index)]
    else:
        assert asked == [("moved", index, new_index)]


def test_a_lifted_card_follows_the_pointer_and_leaves_its_place_framed(cards: StackCards) -> None:
    before = cards.list.grab().toImage()
    drag(cards.list, cards.list.box(0).center(), cards.list.box(2).center() + QPointF(0, 20))
    lifted = cards.list.grab().toImage()
    blue = QApplication.palette().highlight().color()
    edge = [lifted.pixelColor(100, y) for y in range(lifted.height())]
    assert lifted != before
    assert any(near(color, blue) for color in edge)


def test_escape_puts_a_lifted_card_back(qtbot: QtBot, cards: StackCards) -> None:
    asked = told(cards)
    end = cards.list.box(3).center()
    drag(cards.list, cards.list.box(0).center(), end)
    qtbot.keyClick(cards.list, Qt.Key.Key_Escape)
    drop(cards.list, end)
    assert asked == []


def test_another_stack_puts_a_lifted_card_down(cards: StackCards) -> None:
    asked = told(cards)
    end = cards.list.box(3).center()
    drag(cards.list, cards.list.box(0).center(), end)
    cards.show_stack(PRESETS["lenet5"](), 0)
    drop(cards.list, end)
    assert asked == []


def test_a_drag_and_the_keyboard_scroll_the_panel(qtbot: QtBot, light: QApplication) -> None:
    area, cards = QScrollArea(), StackCards()
    qtbot.addWidget(area)
    area.setWidget(cards)
    area.setWidgetResizable(True)
    cards.show_stack(PRESETS["vgg16"](), 0)
    area.resize(320, 300)
    area.show()
    bar = area.verticalScrollBar()
    assert bar.value() == 0
    for _ in range(20):
        qtbot.keyClick(cards.list, Qt.Key.Key_Down)
    box = cards.list.box(20).translated(QPointF(cards.list.mapTo(area.viewport(), QPointF())))
    assert QRectF(area.viewport().rect()).contains(box)
    scrolled = bar.value()
    drag(cards.list, cards.list.box(20).center(), cards.list.box(25).center())
    assert bar.value() > scrolled


def test_the_place_of_a_dragged_box() -> None:
    boxes = [QRectF(0, top, 10, 10) for top in (0, 10, 20)]
    assert [place_at(y, boxes, 0) for y in (-50, 5, 14, 16, 24, 26, 90)] == [0, 0, 0, 1, 1, 2, 2]
    assert [place_at(y, boxes, 2) for y in (90, 16, 14, 6, 4)] == [2, 2, 1, 1, 0]


# ---- menus and buttons


def test_the_menu_of_a_card(cards: StackCards) -> None:
    asked = told(cards)
    for do in actions(cards.list.menu(1)).values():
        do()
    assert asked == [("switched", 1, False), ("duplicated", 1), ("moved", 1, 0), ("moved", 1, 2), ("removed", 1)]
    cards.show_stack(PRESETS["four_layers"]().switch(1, False), 1)
    actions(cards.list.menu(1))["Switch on"]()
    assert asked[-1] == ("switched", 1, True)
    assert "Move up" not in actions(cards.list.menu(0))
    assert "Move down" not in actions(cards.list.menu(3))


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_the_button_on_a_card_opens_its_menu(cards: StackCards) -> None:
    asked = told(cards)
    place = cards.list.more_box(3).center()
    mouse(cards.list, QEvent.Type.MouseButtonPress, place)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    actions(menu)["Duplicate"]()
    menu.close()
    drop(cards.list, place)
    assert asked == [("duplicated", 3)]


def test_every_kind_of_layer_can_be_added(cards: StackCards) -> None:
    asked = told(cards)
    menu = menu_of(cards, "ReLU")
    for do in actions(menu).values():
        do()
    assert asked == [("add_requested", kind) for kinds in KIND_GROUPS for kind in kinds]
    assert {kind for kinds in KIND_GROUPS for kind in kinds} == set(LAYER_KINDS)
    assert all(action.toolTip().endswith(".") for action in menu.actions() if not action.isSeparator())


def test_every_preset_can_be_taken(cards: StackCards) -> None:
    asked = told(cards)
    menu = menu_of(cards, "VGG-16")
    for do in actions(menu).values():
        do()
    assert asked == [("preset_chosen", preset) for preset in PRESETS]


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
@pytest.mark.parametrize(("name", "entry"), [("Add layer", "ReLU"), ("Presets", "VGG-16")])
def test_the_buttons_open_their_menus(cards: StackCards, name: str, entry: str) -> None:
    button(cards, name).click()
    menu = QApplication.activePopupWidget()
    assert menu is menu_of(cards, entry)
    menu.close()


def test_files_are_asked_for(cards: StackCards) -> None:
    asked = told(cards)
    button(cards, "Open…").click()
    button(cards, "Save…").click()
    assert asked == [("open_requested",), ("save_requested",)]


def test_every_control_explains_itself(cards: StackCards) -> None:
    for control in (cards.list, *cards.findChildren(FlatButton)):
        assert control.toolTip().endswith(".")
        assert control.accessibleName()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus


@pytest.mark.parametrize("scale", [0.75, 3.0])
def test_nothing_is_wider_than_the_panel(qtbot: QtBot, light: QApplication, scale: float) -> None:
    theme.apply(light, "light", scale)
    cards = StackCards()
    qtbot.addWidget(cards)
    cards.show_stack(Stack((3, 9, 9), [Conv2d(3, 8, 3), MaxPool2d(2), Flatten(), Linear(72, 10)]), 0)
    assert cards.minimumSizeHint().width() <= 300 * scale - 4 * theme.unit()
