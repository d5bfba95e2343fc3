from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytestqt.qtbot import QtBot

from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.tensor_facts import TensorFactsPanel
from tests.ui.inspect.file_cases import opened, saved


@pytest.mark.parametrize(
    ("numbers", "span", "mean"),
    [
        ([1.0, 3.0], "1 / 3", "2 ± 1.414"),
        ([1.0], "1 / 1", "1"),
        ([float("nan")], "–", "–"),
    ],
)
def test_no_deviation_is_said_where_there_is_none(
    model: InspectModel, qtbot: QtBot, tmp_path: Path, numbers: list[float], span: str, mean: str
) -> None:
    panel = TensorFactsPanel(model)
    qtbot.addWidget(panel)
    opened(qtbot, model, saved(tmp_path / "a.pt", {"a": torch.tensor(numbers)}))
    assert (panel.values["range"].text(), panel.values["mean"].text()) == (span, mean)
