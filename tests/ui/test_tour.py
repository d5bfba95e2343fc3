from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from convviz.ui import theme
from convviz.ui.tour import STATES, render_tour


@pytest.mark.parametrize(("mode", "scale"), [("light", 1.0), ("dark", 1.5)])
def test_every_state_is_one_picture_unlike_the_others(
    light: QApplication, tmp_path: Path, mode: theme.Mode, scale: float
) -> None:
    paths = render_tour(tmp_path, (640, 480), mode, scale)
    pictures = [QImage(str(path)) for path in paths]
    assert sorted(paths) == paths == sorted(tmp_path.iterdir())
    assert [any(name in path.name for path in paths) for name in STATES] == [True] * len(STATES)
    assert len(paths) == len(STATES)
    assert {picture.size().toTuple() for picture in pictures} == {(640, 480)}
    assert len({bytes(picture.constBits()) for picture in pictures}) == len(pictures)
