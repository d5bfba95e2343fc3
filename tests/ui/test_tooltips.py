from PySide6.QtGui import QTextDocument

from convviz.ui.widgets.tooltips import LINE_LENGTH, name_tooltip


def test_a_tooltip_breaks_a_long_name_into_lines_and_shows_markup_as_it_is(qapp: object) -> None:
    document = QTextDocument()
    document.setHtml(name_tooltip("<i>" + "x" * 100, "64 numbers"))
    lines = document.toPlainText().splitlines()
    assert lines == ["<i>" + "x" * (LINE_LENGTH - 3), "x" * (103 - LINE_LENGTH), "64 numbers"]
