"""What the program remembers from one start to the next, in a readable INI file."""

import json
from pathlib import Path
from typing import get_args

from PySide6.QtCore import QByteArray, QSettings, QStandardPaths

from convviz.ui.theme import MAX_SCALE, MIN_SCALE, Mode

MOST_RECENT_FILES = 8


class Settings:
    """Typed settings kept in `path`, or in the user's ``convviz/convviz.ini``; a change is saved by itself.

    A missing, damaged or out-of-range value reads as its default, so no file can keep the program from starting.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._file = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "convviz", "convviz")
        else:
            self._file = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def path(self) -> Path:
        """The file that holds the settings."""
        return Path(self._file.fileName())

    def save(self) -> None:
        """Write changes to the file now."""
        self._file.sync()

    @property
    def theme(self) -> Mode:
        """Which theme to use; the system's unless chosen."""
        text = self._text("theme")
        return next((mode for mode in get_args(Mode) if mode == text), "system")

    @theme.setter
    def theme(self, mode: Mode) -> None:
        self._file.setValue("theme", mode)

    @property
    def scale(self) -> float:
        """Size of the interface, from 0.75 to 3.0; 1.0 unless chosen."""
        try:
            scale = float(self._text("scale"))
        except ValueError:
            return 1.0
        return scale if MIN_SCALE <= scale <= MAX_SCALE else 1.0

    @scale.setter
    def scale(self, scale: float) -> None:
        self._file.setValue("scale", str(scale))

    @property
    def window_geometry(self) -> QByteArray:
        """What `QWidget.saveGeometry` returned for the main window; empty at the first start."""
        return self._bytes("window/geometry")

    @window_geometry.setter
    def window_geometry(self, geometry: QByteArray) -> None:
        self._file.setValue("window/geometry", geometry)

    @property
    def lab_state(self) -> str:
        """The Lab page's state as JSON text, unchecked; empty at the first start."""
        return self._text("lab/state")

    @lab_state.setter
    def lab_state(self, state: str) -> None:
        self._file.setValue("lab/state", state)

    @property
    def lab_view(self) -> str:
        """How the Lab page is looked at, as JSON text, unchecked; empty at the first start."""
        return self._text("lab/view")

    @lab_view.setter
    def lab_view(self, view: str) -> None:
        self._file.setValue("lab/view", view)

    @property
    def train_state(self) -> str:
        """What is chosen on the Train page as JSON text, unchecked; empty at the first start."""
        return self._text("train/state")

    @train_state.setter
    def train_state(self, state: str) -> None:
        self._file.setValue("train/state", state)

    @property
    def recent_files(self) -> tuple[Path, ...]:
        """The files of weights that were open last, the newest first; they may be gone."""
        try:
            paths = json.loads(self._text("inspect/recent_files"))
        except ValueError:
            return ()
        if not isinstance(paths, list):
            return ()
        return tuple(Path(path) for path in paths[:MOST_RECENT_FILES] if isinstance(path, str))

    def add_recent_file(self, path: Path) -> None:
        """Remember that a file is open."""
        path = path.absolute()
        paths = [path, *(each for each in self.recent_files if each != path)][:MOST_RECENT_FILES]
        self._file.setValue("inspect/recent_files", json.dumps([str(each) for each in paths]))

    @property
    def last_folder(self) -> Path:
        """The folder the last file came from; the user's pictures folder, or home, while there is none."""
        folder = self._text("last_folder")
        if folder and _is_folder(Path(folder)):
            return Path(folder)
        pictures = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation))
        return pictures if _is_folder(pictures) else Path.home()

    @last_folder.setter
    def last_folder(self, folder: Path) -> None:
        self._file.setValue("last_folder", str(folder))

    def _text(self, key: str) -> str:
        value = self._file.value(key)
        return value if isinstance(value, str) else ""

    def _bytes(self, key: str) -> QByteArray:
        value = self._file.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
