"""Finding and pressing what a test is about."""

from PySide6.QtWidgets import QApplication, QWidget

from convviz.ui.widgets.buttons import FlatButton


def button(widget: QWidget, name: str) -> FlatButton:
    """The button that is called so, among those inside of a widget."""
    (found,) = (button for button in widget.findChildren(FlatButton) if button.accessibleName() == name)
    return found


def lay_out(widget: QWidget) -> None:
    """Let layouts follow what has come, until nothing inside of the widget moves any more."""
    before = None
    while (now := [part.geometry() for part in widget.findChildren(QWidget)]) != before:
        before = now
        QApplication.processEvents()


def press(widget: QWidget, name: str) -> None:
    button(widget, name).click()
