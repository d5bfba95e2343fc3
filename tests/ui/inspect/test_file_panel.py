from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytestqt.qtbot import QtBot

from convviz.ui.inspect.file_panel import contents_text
from convviz.ui.inspect.model import InspectModel
from tests.ui.inspect.file_cases import opened, saved


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 tensor · 1 parameter · float32 · no code inside"),
        (2, "1 tensor · 2 parameters · float32 · no code inside"),
    ],
)
def test_what_is_in_a_file_is_counted(model: InspectModel, qtbot: QtBot, tmp_path: Path, count: int, text: str) -> None:
    opened(qtbot, model, saved(tmp_path / "a.pt", {"0.weight": torch.ones(count)}))
    assert model.file is not None
    assert contents_text(model.file) == text
