from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray

from convviz.ui.settings import MOST_RECENT_FILES, Settings
from convviz.ui.theme import MAX_SCALE, MIN_SCALE, Mode

DAMAGED = {
    "missing": None,
    "empty": b"",
    "binary": b"\x00\xff\xfe[[[\x01=\n",
    "cut off": b"[General\ntheme=da",
    "wrong types": b"[General]\ntheme=1,2\nscale=1,2\nlast_folder=a,b\n[window]\ngeometry=x\nstate=@Rect(0 0 1 2)\n",
    "out of range": b"[General]\ntheme=purple\nscale=40\nlast_folder=/no/such/folder\n",
    "not numbers": b"[General]\nscale=nan\n",
    "no list": b"[inspect]\nrecent_files={}\n",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "convviz" / "convviz.ini"


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_unusable_values_read_as_defaults_and_can_be_replaced(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    defaults = Settings(path)
    assert defaults.theme == "system"
    assert defaults.scale == 1.0
    assert defaults.window_geometry.isEmpty()
    assert defaults.lab_view == ""
    assert defaults.lab_state == ""
    assert defaults.recent_files == ()
    assert defaults.last_folder.name == "Pictures" or defaults.last_folder == Path.home()

    defaults.theme = "dark"
    defaults.save()
    assert Settings(path).theme == "dark"


def test_a_file_that_cannot_be_written_still_gives_settings(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    assert settings.theme == "system"
    settings.theme = "dark"
    settings.save()
    assert settings.theme == "dark"


@pytest.mark.parametrize("mode", ["system", "light", "dark"])
def test_everything_comes_back(path: Path, tmp_path: Path, mode: Mode) -> None:
    settings = Settings(path)
    settings.theme = mode
    settings.scale = 1.25
    settings.window_geometry = QByteArray(b"\x00\x01\xff")
    settings.lab_view = "state, with = and ;"
    settings.lab_state = '{"kernel": [[0.5, -1], [2, 3]], "name": "Größe; 卷积 \\n"}'
    settings.last_folder = tmp_path
    settings.save()

    again = Settings(path)
    assert again.theme == mode
    assert again.scale == 1.25
    assert again.window_geometry == QByteArray(b"\x00\x01\xff")
    assert again.lab_view == "state, with = and ;"
    assert again.lab_state == '{"kernel": [[0.5, -1], [2, 3]], "name": "Größe; 卷积 \\n"}'
    assert again.last_folder == tmp_path


def test_the_newest_files_are_remembered_each_once(path: Path, tmp_path: Path) -> None:
    settings = Settings(path)
    files = [tmp_path / f"{number}, 卷积 \udcff.pt" for number in range(MOST_RECENT_FILES + 2)]
    for file in [*files, files[5]]:
        settings.add_recent_file(file)
    settings.save()
    newest = list(reversed(files))[:MOST_RECENT_FILES]
    newest.remove(files[5])
    assert Settings(path).recent_files == (files[5], *newest)


@given(scale=st.floats(MIN_SCALE, MAX_SCALE))
def test_any_scale_in_range_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, scale: float) -> None:
    path = tmp_path_factory.getbasetemp() / "scale.ini"
    settings = Settings(path)
    settings.scale = scale
    settings.save()
    assert Settings(path).scale == scale


def test_the_file_is_readable(path: Path) -> None:
    settings = Settings(path)
    settings.theme = "light"
    settings.scale = 1.5
    settings.save()
    assert path.read_text().splitlines() == ["[General]", "scale=1.5", "theme=light"]


@pytest.mark.usefixtures("qapp")
def test_tests_never_touch_the_users_own_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = Settings().path
    assert path.parts[-2:] == ("convviz", "convviz.ini")
    assert path.is_relative_to(tmp_path_factory.getbasetemp())
