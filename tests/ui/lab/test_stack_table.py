import pytest
from hypothesis import given
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, ReLU
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, Layer, MaxPool2d
from convviz.core.numbers import THIN_SPACE
from convviz.core.presets import PRESETS
from convviz.core.stack import INPUT, Stack
from convviz.ui import theme
from convviz.ui.lab.stack_table import (
    Cell,
    StackTable,
    StackTableModel,
    heading_of,
    rows_of,
    sentence_of,
    sharing_of,
)
from tests.core.stack_cases import stacks

FOUR = PRESETS["four_layers"]()
MISFIT = Stack((1, 7, 7), [Conv2d(1, 1, 3), Conv2d(1, 1, 9), ReLU()])


@pytest.fixture
def table(qtbot: QtBot, light: QApplication) -> StackTable:
    table = StackTable()
    qtbot.addWidget(table)
    table.resize(900, 400)
    table.show_stack(FOUR, 3, (1, 1))
    with qtbot.waitExposed(table):
        table.show()
    return table


def model_of(table: StackTable) -> StackTableModel:
    model = table.view.model()
    assert isinstance(model, StackTableModel)
    return model


def click(qtbot: QtBot, table: StackTable, row: int) -> None:
    view = table.view
    place = view.visualRect(model_of(table).index(row, 1)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def labels(table: StackTable) -> list[str]:
    return [label.text() for label in table.findChildren(QLabel) if not label.isHidden()]


# ---- words


def test_the_table_of_the_design() -> None:
    assert [row.texts for row in rows_of(FOUR)] == [
        ("Input", "1×12×12", "", "", "1", "1", "0.5", ""),
        ("1 Conv 3×3", "1×10×10", "10", "900", "1", "3", "1.5", f"14{THIN_SPACE}500"),
        ("2 ReLU", "1×10×10", "0", "0", "1", "3", "1.5", "—"),
        ("3 MaxPool 2×2", "1×5×5", "0", "0", "2", "4", "2.0", "—"),
        ("4 Conv 3×3", "1×3×3", "10", "81", "2", "8", "4.0", "234"),
        ("Total", "", "20", "981", "", "", "", ""),
    ]
    assert [row.layer for row in rows_of(FOUR)] == [INPUT, 0, 1, 2, 3, None]


def test_axes_that_differ_are_told_apart() -> None:
    stack = Stack((1, 12, 12), [Conv2d(1, 1, (3, 5), padding=(3, 0)), MaxPool2d((2, 3))])
    assert rows_of(stack)[1].texts[5:7] == ("3×5", "−1.5, 2.5")
    assert rows_of(stack)[2].texts[4] == "2×3"


def test_large_counts_are_grouped() -> None:
    total = rows_of(PRESETS["vgg16"]())[-1].texts
    assert total[2].split(THIN_SPACE) == ["138", "357", "544"]


def test_a_layer_that_is_off_costs_nothing() -> None:
    row = rows_of(FOUR.switch(0, False))[1]
    assert not row.is_on
    assert row.texts == ("1 Conv 3×3, off", "1×12×12", "0", "0", "1", "1", "0.5", "—")


@given(stacks())
def test_the_table_holds_what_the_stack_knows(stack: Stack) -> None:
    rows = rows_of(stack)
    assert [row.layer for row in rows] == [INPUT, *range(len(stack.shapes) - 1), None]
    counts = [int(row.texts[2].replace(THIN_SPACE, "")) for row in rows[1:]]
    assert sum(counts[:-1]) == counts[-1] == stack.num_parameters
    for row, known in zip(rows[1:-1], stack.table, strict=True):
        vertical, horizontal = known.receptive_field
        size = f"{vertical.size}" if vertical.size == horizontal.size else f"{vertical.size}×{horizontal.size}"
        assert row.texts[5] == size
        assert (row.texts[7] == "—") == (known.dense_parameters is None)


@pytest.mark.parametrize(
    ("layers", "current", "cell", "heading", "sentence"),
    [
        (
            FOUR.layers,
            3,
            (1, 1),
            "Receptive field of unit (1, 1) in layer 4",
            "covers rows 2–9, columns 2–9 of the input: 8 × 8",
        ),
        (FOUR.layers, 3, None, "Receptive field of layer 4", "each unit covers 8 × 8 cells of the input"),
        (FOUR.layers, INPUT, (1, 1), "Input 1×12×12", "Choose a layer to see what its units cover."),
        (
            [Conv2d(1, 1, 3, padding=(1, 0))],
            0,
            (0, 0),
            "Receptive field of unit (0, 0) in layer 1",
            "covers rows −1…1, columns 0–2 of the input: 3 × 3; row −1 lies in the padding",
        ),
        (
            [Conv2d(1, 1, 5, padding=2)],
            0,
            (11, 0),
            "Receptive field of unit (11, 0) in layer 1",
            "covers rows 9–13, columns −2…2 of the input: 5 × 5; rows 12–13, columns −2…−1 lie in the padding",
        ),
        (
            [Conv2d(1, 1, (15, 1), padding=(2, 0))],
            0,
            (1, 4),
            "Receptive field of unit (1, 4) in layer 1",
            "covers rows −1…13, column 4 of the input: 15 × 1; rows −1, 12–13 lie in the padding",
        ),
        (
            [Conv2d(1, 1, 1, padding=1)],
            0,
            (0, 3),
            "Receptive field of unit (0, 3) in layer 1",
            "covers row −1, column 2 of the input: 1 × 1; all of it lies in the padding",
        ),
        (
            [AvgPool2d(5, ceil_mode=True)],
            0,
            (2, 0),
            "Receptive field of unit (2, 0) in layer 1",
            "covers rows 10–14, columns 0–4 of the input: 5 × 5; rows 12–14 lie outside the input",
        ),
        (
            [MaxPool2d(6), Flatten()],
            1,
            3,
            "Receptive field of unit 3 in layer 2",
            "covers rows 6–11, columns 6–11 of the input: 6 × 6",
        ),
        (
            [Flatten(), Linear(144, 5)],
            1,
            None,
            "Receptive field of layer 2",
            "all units together cover 12 × 12 cells of the input",
        ),
    ],
)
def test_what_a_unit_covers(layers: list[Layer], current: int, cell: Cell, heading: str, sentence: str) -> None:
    stack = Stack((1, 12, 12), layers)
    assert heading_of(stack, current, cell) == heading
    assert sentence_of(stack, current, cell) == sentence


def test_a_unit_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        sentence_of(FOUR, 3, (3, 0))


@pytest.mark.parametrize(("current", "heading"), [(1, "Layer 2 does not fit"), (2, "Layer 3 is not reached")])
def test_a_layer_without_a_receptive_field(current: int, heading: str) -> None:
    assert heading_of(MISFIT, current, None) == heading
    assert sentence_of(MISFIT, current, (0, 0)) == "Choose a layer before it to see what its units cover."
    assert sharing_of(MISFIT, current) == ""


@pytest.mark.parametrize(
    ("shape", "layer", "text"),
    [
        (
            (1, 4, 4),
            Conv2d(1, 1, 3, bias=[0]),
            "9 weights + 1 bias, shared by all positions; a dense layer here would have 68 parameters.",
        ),
        (
            (1, 4, 4),
            Conv2d(1, 1, 1),
            "1 weight, shared by all positions; a dense layer here would have 256 parameters.",
        ),
        ((2, 4, 4), BatchNorm2d(2), "2 weights + 2 biases: one pair for each channel, shared by all its cells."),
        ((2, 4, 4), ReLU(), "ReLU has no parameters: there is nothing to learn."),
    ],
)
def test_how_a_layer_shares_its_weights(shape: tuple[int, int, int], layer: Layer, text: str) -> None:
    assert sharing_of(Stack(shape, [layer]), 0) == text


def test_a_dense_layer_shares_none_and_a_layer_that_is_off_has_none() -> None:
    stack = Stack((1, 2, 2), [Flatten(), Linear(4, 3, Drawn(0), Drawn(0))])
    assert sharing_of(stack, 1).startswith("12 weights + 3 biases")
    assert sharing_of(stack, 1).endswith("none is shared.")
    assert "is off" in sharing_of(stack.switch(1, False), 1)
    assert sharing_of(stack, INPUT) == ""


# ---- the card


def test_it_shows_heading_sentence_table_and_sharing(table: StackTable) -> None:
    assert table.field.heading == "Receptive field of unit (1, 1) in layer 4"
    assert table.field.sentence == "covers rows 2–9, columns 2–9 of the input: 8 × 8"
    assert table.field.accessibleName() == f"{table.field.heading} {table.field.sentence}"
    assert model_of(table).rowCount() == 6
    assert labels(table) == [
        "9 weights + 1 bias, shared by all positions; a dense layer here would have 234 parameters."
    ]


def test_the_table_ends_at_a_layer_that_does_not_fit(table: StackTable) -> None:
    table.show_stack(MISFIT, 0, (0, 0))
    assert [row.layer for row in model_of(table).rows] == [INPUT, 0, None]
    assert MISFIT.problem is not None
    assert labels(table)[-1] == f"2 Conv 9×9 does not fit: {MISFIT.problem.message}"
    table.show_stack(FOUR, 0, (0, 0))
    assert len(labels(table)) == 1


def test_only_the_current_row_is_bold(table: StackTable) -> None:
    model = model_of(table)

    def bold_rows() -> list[int]:
        fonts = [model.data(model.index(row, 0), Qt.ItemDataRole.FontRole) for row in range(model.rowCount())]
        return [row for row, font in enumerate(fonts) if font.bold()]

    assert bold_rows() == [4]
    table.show_stack(FOUR, INPUT, None)
    assert bold_rows() == [0]


def test_another_cell_changes_the_words_alone(qtbot: QtBot, table: StackTable) -> None:
    model, height = model_of(table), table.field.height()
    with qtbot.assertNotEmitted(model.dataChanged), qtbot.assertNotEmitted(model.modelReset):
        table.show_stack(FOUR, 3, (2, 0))
    assert table.field.sentence == "covers rows 4–11, columns 0–7 of the input: 8 × 8"
    assert table.field.height() == height
    with qtbot.waitSignal(model.dataChanged):
        table.show_stack(FOUR, 2, (2, 0))


def test_the_words_keep_their_room_while_the_unit_moves(table: StackTable) -> None:
    table.resize(420, 400)
    stack = Stack((1, 12, 12), [Conv2d(1, 1, 5, padding=2)])
    table.show_stack(stack, 0, (0, 0))
    wrapped = table.field.height()
    table.show_stack(stack, 0, (5, 5))
    assert table.field.height() == wrapped
    table.show_stack(stack, 0, (11, 0))
    assert table.field.height() == wrapped
    table.show_stack(FOUR, 0, (5, 5))
    assert table.field.height() < wrapped


def test_a_click_chooses_a_layer_the_input_but_not_the_totals(qtbot: QtBot, table: StackTable) -> None:
    chosen: list[int] = []
    table.row_chosen.connect(chosen.append)
    for row in (0, 3, 5):
        click(qtbot, table, row)
    assert chosen == [INPUT, 2]


def test_return_chooses_the_row_that_has_the_keyboard(qtbot: QtBot, table: StackTable) -> None:
    chosen: list[int] = []
    table.row_chosen.connect(chosen.append)
    table.show_stack(FOUR, 1, (0, 0))
    qtbot.keyClick(table.view, Qt.Key.Key_Down)
    qtbot.keyClick(table.view, Qt.Key.Key_Return)
    assert chosen == [2]


def test_a_selection_is_left_when_another_layer_is_current(qtbot: QtBot, table: StackTable) -> None:
    click(qtbot, table, 2)
    table.show_stack(FOUR, 1, (0, 0))
    assert [index.row() for index in table.view.selectionModel().selectedRows()] == [2]
    table.show_stack(FOUR, 2, (0, 0))
    assert table.view.selectionModel().selectedRows() == []


def test_rows_are_copied_as_plain_numbers(qtbot: QtBot, table: StackTable) -> None:
    table.view.selectRow(1)
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    header, row = QApplication.clipboard().text().split("\n")
    assert header.split("\t")[:3] == ["layer", "output", "parameters"]
    assert row.split("\t") == ["1 Conv 3×3", "1×10×10", "10", "900", "1", "3", "1.5", "14500"]
    table.view.clearSelection()
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert len(QApplication.clipboard().text().split("\n")) == 7


def test_every_term_is_explained(table: StackTable) -> None:
    model = model_of(table)
    for column in range(model.columnCount()):
        assert model.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole).endswith(".")
    assert table.view.accessibleName()
    assert table.view.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_widest_table_fits_into_900_px(table: StackTable) -> None:
    table.show_stack(PRESETS["vgg16"](), 28, (0, 0))
    QApplication.processEvents()
    assert table.view.horizontalScrollBar().maximum() == 0


@pytest.mark.parametrize("height", range(150, 300, 7))
def test_no_row_is_cut_and_the_current_one_is_in_view(table: StackTable, height: int) -> None:
    table.resize(900, height)
    QApplication.processEvents()
    view = table.view
    assert view.viewport().height() % view.verticalHeader().defaultSectionSize() == 0
    row = model_of(table).row_of(3)
    assert view.viewport().rect().contains(view.visualRect(model_of(table).index(row, 0)))


def test_every_row_can_be_scrolled_to(table: StackTable) -> None:
    table.show_stack(PRESETS["resnet50_main_path"](), 150, 999)
    view, last = table.view, model_of(table).index(151, 0)
    assert view.viewport().rect().contains(view.visualRect(last))


def test_it_follows_the_font(light: QApplication, table: StackTable) -> None:
    height, width = table.view.rowHeight(0), sum(table.view.columnWidth(column) for column in range(8))
    theme.apply(light, "dark", 2.0)
    QApplication.processEvents()
    assert table.view.rowHeight(0) == 2 * height
    assert sum(table.view.columnWidth(column) for column in range(8)) > width
    assert table.view.horizontalHeader().height() == round(3 * theme.unit())
