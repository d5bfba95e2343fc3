from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from convviz.ui.main_window import MainWindow
from convviz.ui.train.model import TrainModel
from convviz.ui.train.page import TrainPage
from tests.ui.train.run_cases import prepare


@pytest.fixture
def model(threads: None, light: QApplication, tmp_path: Path) -> Iterator[TrainModel]:
    """A model about to train three epochs of six batches."""
    model = TrainModel()
    prepare(model, tmp_path / "runs")
    yield model
    model.stop()
    model.cancel()


@pytest.fixture
def page(threads: None, window: MainWindow, tmp_path: Path) -> Iterator[TrainPage]:
    """The Train page of a window, shown, about to train three epochs of six batches."""
    page = window.train
    prepare(page.model, tmp_path / "runs")
    window.show_page(page)
    yield page
    page.model.stop()
