from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui.widgets.elided_label import ElidedLabel
from convviz.ui.widgets.offer_bar import OfferBar


def test_a_remedy_takes_the_message_away_and_does_something(qtbot: QtBot, light: QApplication) -> None:
    bar, done = OfferBar(), []
    qtbot.addWidget(bar)
    bar.show_message("Too large.", ("Open anyway", lambda: done.append(bar.message)))
    assert not bar.remedy.isHidden()
    bar.remedy.click()
    assert done == [""]
    assert bar.remedy.isHidden()
    bar.show_message("Gone.")
    assert bar.message == "Gone."
    assert bar.remedy.isHidden()


def test_a_long_line_asks_for_no_more_room(qtbot: QtBot, light: QApplication) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    before = label.minimumSizeHint(), label.sizeHint()
    label.set_text("<b>" + "x" * 5000)
    assert (label.minimumSizeHint(), label.sizeHint()) == before
    assert label.accessibleName() == label.text
    assert not label.grab().isNull()
