"""Opens one window, prints when its first frame was painted, and ends; `bench_start` runs it as a program.

``python -m tests.benchmarks.first_frame convviz`` opens the application as its command does, ``… bare`` a window that
holds nothing but an empty pyqtgraph plot. Modules are imported where they are needed: their time is what is measured.
"""

# ruff: noqa: PLC0415 - imports belong to the measured time

import json
import sys
import time


def run_until_painted() -> int:
    """Stand in for `QApplication.exec`: end the event loop once the first frame is on its way to the screen."""
    from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication.instance()
    assert application is not None
    loop = QEventLoop()

    class FirstPaint(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                QTimer.singleShot(0, loop.quit)  # all widgets of the frame are painted before timers run
            return False

    watcher = FirstPaint()
    application.installEventFilter(watcher)
    loop.exec()
    application.removeEventFilter(watcher)
    QApplication.processEvents()
    painted = time.monotonic()  # the same clock in all processes
    print(json.dumps({"painted": painted, "torch_imported": "torch" in sys.modules}))
    return 0


def open_convviz() -> int:
    from convviz.startup import require_qt

    require_qt()  # as `main` does
    from PySide6.QtWidgets import QApplication

    from convviz.app import main

    QApplication.exec = staticmethod(run_until_painted)  # type: ignore[method-assign] # the one way in after show()
    return main([])


def open_bare_window() -> int:
    from PySide6.QtWidgets import QApplication, QMainWindow  # isort: split

    import pyqtgraph  # takes the Qt that is imported already

    application = QApplication([])
    window = QMainWindow()
    window.setCentralWidget(pyqtgraph.PlotWidget())
    window.resize(1280, 800)
    window.show()
    code = run_until_painted()
    del window, application
    return code


if __name__ == "__main__":
    sys.exit({"convviz": open_convviz, "bare": open_bare_window}[sys.argv[1]]())
