import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.widgets.side_panel import MOST_UNITS, PanelPage, SidePanel

NARROW_UNITS = 100


class Page(PanelPage):
    def __init__(self) -> None:
        super().__init__(NARROW_UNITS)
        self.panel, self.content = SidePanel(), QWidget()
        self.label = QLabel("some words")
        self.panel.set_parts(self.label)
        self.content.setMinimumSize(90, 50)
        self.set_parts(self.panel, self.content)


@pytest.fixture
def page(qtbot: QtBot, light: QApplication) -> Page:
    page = Page()
    qtbot.addWidget(page)
    page.resize(1000, 400)
    page.show()
    return page


def widths(page: Page) -> tuple[int, int]:
    """The widths of panel and content, 0 where one is not seen."""
    for _ in range(3):
        QApplication.processEvents()
    return tuple(part.width() if part.isVisible() else 0 for part in (page.panel, page.content))  # type: ignore[return-value]  # two


def test_panel_and_content_share_the_width(page: Page) -> None:
    wanted = page.panel.sizeHint().width()
    assert widths(page) == (wanted, 1000 - wanted)
    page.show_controls(False)
    assert widths(page) == (0, 1000)
    assert not page.shows_controls


def test_they_take_turns_where_both_have_no_room(page: Page) -> None:
    page.resize(500, 400)
    assert widths(page) == (0, 500)
    page.show_controls(True)
    assert page.shows_controls
    assert widths(page) == (500, 0)
    page.resize(1000, 400)
    assert widths(page)[0] == page.panel.sizeHint().width()
    page.show_controls(None)
    page.resize(500, 400)
    assert widths(page) == (0, 500)


def test_the_panel_gives_way_before_the_page_is_cut(page: Page) -> None:
    assert page.minimumSizeHint() == page.content.minimumSizeHint()


def test_the_panel_grows_with_its_parts_and_does_not_shrink_again(page: Page) -> None:
    before, _ = widths(page)
    page.label.setText("some more words, which need more room than before")
    after, _ = widths(page)
    assert after > before
    page.label.setText("some")
    assert widths(page)[0] == after


def test_no_word_makes_the_panel_wider_than_a_limit(page: Page) -> None:
    page.label.setText("a." * 2000)
    assert widths(page)[0] == round(MOST_UNITS * theme.unit())


def test_with_another_font_the_panel_is_as_wide_as_needed(page: Page, light: QApplication) -> None:
    page.resize(2000, 400)
    before, _ = widths(page)
    theme.apply(light, "light", 2.0)
    assert widths(page)[0] > 1.5 * before
    theme.apply(light, "light", 1.0)
    assert widths(page)[0] == before


def test_one_part_takes_the_height_that_is_left(qtbot: QtBot, light: QApplication) -> None:
    panel, above, tree = SidePanel(), QLabel("above"), QWidget()
    qtbot.addWidget(panel)
    panel.set_parts(above, tree, stretched=tree)
    panel.resize(300, 600)
    panel.show()
    QApplication.sendPostedEvents(panel, QEvent.Type.LayoutRequest)
    assert tree.height() > 500
