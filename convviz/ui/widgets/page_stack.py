"""Pages of which one is shown."""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QWidget


class PageStack(QStackedWidget):
    """Asks for the room of the page that is shown, where Qt's own asks for that of the largest."""

    def add(self, page: QWidget) -> None:
        """Add a page; the first one is shown."""
        self.addWidget(page)
        self.show_page(self.currentWidget() or page)

    def show_page(self, page: QWidget) -> None:
        """Show a page that was added."""
        for index in range(self.count()):
            other = self.widget(index)
            if other is not None:
                policy = QSizePolicy.Policy.Preferred if other is page else QSizePolicy.Policy.Ignored
                other.setSizePolicy(policy, policy)
        self.setCurrentWidget(page)
