from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, QRect, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPixmap, QTextLayout
from PySide6.QtWidgets import QApplication, QStyle, QStyleOptionHeader
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from convviz.core.numbers import format_number
from convviz.core.refusal import RefusalError
from convviz.core.statistics import FilterFacts, statistics
from convviz.nn.tensor_file import TensorInfo
from convviz.ui import theme
from convviz.ui.inspect.session import TensorFacts
from convviz.ui.inspect.tensor_tree import (
    COUNT,
    MAXIMUM,
    MINIMUM,
    MOST_DEPTH,
    NAME,
    NOT_FINITE,
    SHAPE,
    WIDEST_FACT,
    ZEROS,
    TensorTree,
    TensorTreeModel,
)

ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
NO_FACTS: dict[int, TensorFacts] = {}


def infos(*names: str, shape: tuple[int, ...] = (2, 3)) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(name, name, shape, "float32", "weight", 24) for name in names)


def facts(*values: float) -> TensorFacts:
    return TensorFacts(statistics(np.array(values)))


def made(shown: Sequence[TensorInfo], known: Mapping[int, TensorFacts] = NO_FACTS) -> TensorTreeModel:
    tree = TensorTreeModel(lambda: known)
    tree.set_infos(shown)
    tree.note_facts(known)
    return tree


def rows(tree: TensorTreeModel, parent: QModelIndex | None = None, column: int = NAME) -> list[object]:
    """The texts of a column, what is in a group as a list behind the group's."""
    parent = QModelIndex() if parent is None else parent
    texts: list[object] = []
    for row in range(tree.rowCount(parent)):
        texts.append(tree.index(row, column, parent).data())
        if tree.rowCount(tree.index(row, 0, parent)):
            texts.append(rows(tree, tree.index(row, 0, parent), column))
    return texts


def texts_of(tree: TensorTreeModel, row: int) -> list[str]:
    return [tree.index(row, column).data() for column in range(tree.columnCount())]


def test_a_flat_file_is_a_list() -> None:
    tree = made(infos("conv1.weight", "conv1.bias", "fc.weight"))
    assert rows(tree) == ["conv1.weight", "conv1.bias", "fc.weight"]
    assert not tree.has_groups


def test_names_are_grouped_by_dots_in_the_files_order_and_lonely_groups_joined() -> None:
    names = "stem.conv.weight", "m.layer1.0.conv.weight", "m.layer1.1.conv.weight", "m.layer1.0.bn.bias", "x"
    tree = made(infos(*names))
    assert rows(tree) == [
        "stem",
        ["conv.weight"],
        "m.layer1",
        ["0", ["conv.weight", "bn.bias"], "1", ["conv.weight"]],
        "x",
    ]


@given(st.lists(st.text("ab.", max_size=8), max_size=12))
def test_every_tensor_stands_in_one_place_however_it_is_named(names: list[str]) -> None:
    tree = made(infos(*names))
    found = []
    pending = [QModelIndex()]
    while pending:
        parent = pending.pop()
        for row in range(tree.rowCount(parent)):
            index = tree.index(row, 0, parent)
            assert tree.parent(index) == parent
            tensor = tree.tensor_at(index)
            if tensor is None:
                pending.append(index)
            else:
                found.append(tensor)
                assert tree.index_of(tensor) == index
    assert sorted(found) == list(range(len(names)))


def test_views_can_rely_on_the_model(qtmodeltester: ModelTester, qtbot: QtBot) -> None:
    tree = made(infos("a.b.c.d", "a.b.e.f", "g", "a.h.i"), {0: facts(1, np.nan)})
    qtmodeltester.check(tree)
    tree.search("a")
    qtmodeltester.check(tree)
    tree.sort(MAXIMUM)
    qtmodeltester.check(tree)


def test_a_name_of_a_million_dots_takes_no_time_and_a_few_groups() -> None:
    started = time.process_time()
    tree = made(infos("a." * 10**6, "b.c"))
    assert time.process_time() - started < 10
    depth, index = 0, tree.index(0, 0)
    while tree.tensor_at(index) is None:
        depth, index = depth + 1, tree.index(0, 0, index)
    assert depth <= MOST_DEPTH


def test_names_are_shown_without_markup_or_hidden_characters() -> None:
    tree = made(infos("<b>x</b>", "a\nb", "c\u202ed", ""))
    assert rows(tree) == ["<b>x</b>", "a‹U+000A›b", "c‹U+202E›d", "(no name)"]
    tooltip = tree.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "&lt;b&gt;" in tooltip


def test_columns_say_what_is_known() -> None:
    known = {0: facts(-1.5, 0, 0, 2), 2: TensorFacts(refusal=RefusalError("Too large."))}
    tree = made(infos("a", "b", "c"), known)
    assert texts_of(tree, 0) == ["a", "2×3", "weight", "float32", "6", "−1.5", "2", "0.125", "1.436", "2", "0"]
    assert texts_of(tree, 1)[5:] == ["…"] * 6
    assert texts_of(tree, 2)[5:] == ["–"] * 6
    assert made(infos("a", shape=())).index(0, 1).data() == "1"
    assert texts_of(made(infos("a"), {0: facts(np.nan, np.inf)}), 0)[5:] == ["–", "–", "–", "–", "0", "2"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("weight", ["layer1.0.conv.weight", "fc.weight"]),
        ("CONV w", ["layer1.0.conv.weight"]),
        ("3x3", ["layer1.0.conv.weight"]),
        ("float32 bias", ["fc.bias"]),
        ("x", ["fc.max"]),
        ("nothing", []),
    ],
)
def test_search_lists_what_has_every_word(text: str, found: list[str]) -> None:
    conv = TensorInfo("layer1.0.conv.weight", "", (8, 4, 3, 3), "float32", "weight", 0)
    tree = made((conv, *infos("fc.weight", "fc.bias", "fc.max")))
    tree.search(text)
    assert rows(tree) == found
    assert tree.num_shown == len(found)
    tree.search("")
    assert rows(tree) == ["layer1.0", ["conv.weight"], "fc.weight", "fc.bias", "fc.max"]


def test_sorting_lists_by_any_column_with_the_unknown_last() -> None:
    known = {0: facts(3), 1: facts(np.nan), 3: facts(-7), 4: facts(10)}
    tree = made(infos("b.x.y", "a", "c", "d", "e"), known)
    tree.sort(MAXIMUM, ASCENDING)
    assert rows(tree) == ["d", "b.x.y", "e", "a", "c"]
    tree.sort(MAXIMUM, DESCENDING)
    assert rows(tree) == ["e", "b.x.y", "d", "a", "c"]
    tree.sort(NAME, ASCENDING)
    assert rows(tree) == ["a", "b.x.y", "c", "d", "e"]
    tree.sort(NOT_FINITE, DESCENDING)
    assert rows(tree)[0] == "a"
    tree.sort(-1)
    assert rows(tree) == ["b", ["x.y"], "a", "c", "d", "e"]


def test_a_sorted_list_makes_room_for_what_becomes_known(qtbot: QtBot, light: QApplication) -> None:
    known = {0: facts(0, 0)}
    view = TensorTree(lambda: known)
    qtbot.addWidget(view)
    view.show_infos(infos("a", "b", "c"))
    view.sortByColumn(ZEROS, DESCENDING)
    view.show_chosen(2)
    known[2] = facts(0, 0, 0)
    view.show_facts([2])
    qtbot.waitUntil(lambda: rows(view.tensors) == ["c", "a", "b"])
    assert view.tensors.tensor_at(view.currentIndex()) == 2


def test_what_is_wrong_is_flagged_with_a_sign_up_to_the_closed_group(light: QApplication) -> None:
    broken = TensorFacts(
        statistics(np.array([1, np.nan])), FilterFacts(np.zeros(2), np.zeros(2), (1,), ((0, 3), (0, 4)), ())
    )
    tree = made(infos("a.g.b.c", "a.h.d.e", "f"), {0: broken, 1: facts(1), 2: facts(0)})
    group = tree.index(0, 0)
    tensor = tree.index(0, 0, tree.index(0, 0, group))
    for index in (group, tree.index(0, 0, group), tensor):
        assert isinstance(index.data(Qt.ItemDataRole.DecorationRole), QPixmap)
        assert "⚠" in index.data(Qt.ItemDataRole.ToolTipRole)
    for words in ("1 NaN", "1 dead filter (1)", "2 duplicate filters (3, 4)"):
        assert words in tensor.data(Qt.ItemDataRole.ToolTipRole)
    for index in (tree.index(1, 0), tree.index(0, 0, tree.index(1, 0, group))):
        assert index.data(Qt.ItemDataRole.DecorationRole) is None
    assert tree.num_faulty == 1


def test_a_click_chooses_and_rows_in_view_are_asked_for(qtbot: QtBot, light: QApplication) -> None:
    known = {1: facts(1)}
    view = TensorTree(lambda: known)
    seen: list[list[int]] = []
    chosen: list[int] = []
    qtbot.addWidget(view)
    view.rows_seen.connect(seen.append)
    view.tensor_chosen.connect(chosen.append)
    view.resize(400, 300)
    view.show()
    view.show_infos(infos(*(f"layer{k}.weight" for k in range(1000))))
    qtbot.waitUntil(lambda: bool(seen) and len(seen[-1]) > 3)
    assert seen[-1] == [0, *range(2, len(seen[-1]) + 1)]
    assert len(seen[-1]) < 30
    view.show_chosen(500)
    qtbot.waitUntil(lambda: 500 in seen[-1])
    chosen.clear()
    qtbot.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(view.tensors.index_of(500)).center()
    )
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert chosen == [501]


def in_order(text: str, *parts: str) -> bool:
    """Whether parts of a text stand from left to right as they follow each other in it, on a line as labels lay it."""
    layout = QTextLayout(text, theme.font())
    layout.beginLayout()
    line = layout.createLine()
    layout.endLayout()
    places = []
    for part in parts:
        start = text.index(part)
        edges = [cast("tuple[float, int]", line.cursorToX(at)) for at in range(start, start + len(part) + 1)]
        places.append([x for x, _ in edges])
    return all(max(left) <= min(right) for left, right in itertools.pairwise(places))


@pytest.mark.parametrize("parts", [("אבג", "weight"), ("weight", "אבג"), ("אבג", "0"), ("אבג", "דהו")])
def test_the_parts_of_a_name_follow_each_other_from_left_to_right(light: QApplication, parts: Sequence[str]) -> None:
    assert in_order(made(infos(".".join(parts))).index(0, NAME).data(), *parts)


@pytest.fixture
def view(qtbot: QtBot, light: QApplication) -> TensorTree:
    """Four tensors of numbers that take much room, in a tree that has room for few columns."""
    known = {k: facts(-1.2345e-10 * (k + 1), 1e20) for k in range(4)}
    view = TensorTree(lambda: known)
    qtbot.addWidget(view)
    view.resize(300, 200)
    view.show_infos(infos("a", "b", "c", "d"))
    view.show_facts(known)
    view.show()
    return view


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_no_number_is_cut(view: TensorTree, light: QApplication, scale: float) -> None:
    theme.apply(light, "light", scale)
    view.show_infos(infos("a", "b", shape=(1000, 1000, 1000)))
    margins = 2 * (view.style().pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, None, view) + 1)
    for column in (SHAPE, *range(COUNT, view.tensors.columnCount())):
        text = view.tensors.index(0, column).data()
        assert view.columnWidth(column) > theme.text_width(theme.font(), text) + margins, text


@given(st.floats())
def test_no_number_is_longer_than_its_column(value: float) -> None:
    assert len(format_number(value)) <= len(WIDEST_FACT)


@pytest.mark.parametrize("scale", [theme.MIN_SCALE, 1.0, 2.0])
def test_the_arrow_of_the_order_covers_no_letter(view: TensorTree, light: QApplication, scale: float) -> None:
    theme.apply(light, "light", scale)
    view.show_infos(infos("a"))
    header = view.header()
    for column in range(SHAPE, view.tensors.columnCount()):
        view.sortByColumn(column, ASCENDING)
        option = QStyleOptionHeader()
        header.initStyleOption(option)
        header.initStyleOptionForIndex(option, column)
        option.rect = QRect(0, 0, header.sectionSize(column), header.height())
        arrow = header.style().subElementRect(QStyle.SubElement.SE_HeaderArrow, option, header)
        text = QFontMetricsF(header.font()).boundingRect(
            QRectF(option.rect), Qt.AlignmentFlag(option.textAlignment), option.text
        )
        assert text.right() < arrow.left(), option.text


def test_the_columns_in_view_stay_when_they_are_sorted_by(view: TensorTree) -> None:
    view.show_chosen(0)
    view.horizontalScrollBar().setValue(view.horizontalScrollBar().maximum())
    left = view.horizontalScrollBar().value()
    view.sortByColumn(MAXIMUM, DESCENDING)
    view.sortByColumn(MINIMUM, DESCENDING)
    view.sortByColumn(-1, ASCENDING)
    QApplication.processEvents()
    assert left == view.horizontalScrollBar().value() > 0
