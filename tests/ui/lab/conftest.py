import pytest

from convviz.ui.lab.model import LabModel
from convviz.ui.lab.page import LabPage
from convviz.ui.main_window import MainWindow


@pytest.fixture
def page(window: MainWindow) -> LabPage:
    return window.lab


@pytest.fixture
def model(page: LabPage) -> LabModel:
    return page.model
