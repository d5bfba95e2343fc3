from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

import convviz.nn.data
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.page import InspectPage
from convviz.ui.main_window import MainWindow
from tests.ui.inspect.file_cases import loads_tiny


@pytest.fixture
def tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set is the tiny one, which takes no time to draw."""
    monkeypatch.setattr(convviz.nn.data, "load_dataset", loads_tiny)


@pytest.fixture
def model(threads: None, light: QApplication, tiny_data: None) -> Iterator[InspectModel]:
    model = InspectModel()
    yield model
    model.cancel()


@pytest.fixture
def page(threads: None, window: MainWindow, tiny_data: None) -> Iterator[InspectPage]:
    """The Inspect page of a window, shown."""
    window.show_page(window.inspect)
    yield window.inspect
    window.inspect.stop()
