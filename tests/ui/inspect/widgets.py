"""Finding and pressing what a test is about."""

from PySide6.QtWidgets import QWidget

from convviz.ui.widgets.buttons import FlatButton


def button(widget: QWidget, name: str) -> FlatButton:
    """The button that is called so, among those inside of a widget."""
    (found,) = (button for button in widget.findChildren(FlatButton) if button.accessibleName() == name)
    return found


def press(widget: QWidget, name: str) -> None:
    button(widget, name).click()
