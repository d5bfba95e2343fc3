"""Asking for files and folders, in the folder where one was found last."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from convviz.ui.settings import Settings

PICTURE_FILTER: Final = "*.png *.jpg *.jpeg *.webp *.bmp"
"""The pictures that can be opened."""


def ask_for_file(window: QWidget, settings: Settings, title: str, kinds: str) -> Path | None:
    """Return the file that the user chooses, one of these kinds or any other; None if none."""
    every = QCoreApplication.translate("FileDialog", "All files (*)")
    path, _ = QFileDialog.getOpenFileName(window, title, str(settings.last_folder), f"{kinds};;{every}")
    if not path:
        return None
    settings.last_folder = Path(path).parent
    return Path(path)


def ask_for_folder(window: QWidget, settings: Settings, title: str) -> Path | None:
    """Return the folder that the user chooses; None if none."""
    path = ask_for_folder_in(window, settings.last_folder, title)
    if path is not None:
        settings.last_folder = path
    return path


def ask_for_folder_in(window: QWidget, parent: Path, title: str) -> Path | None:
    """Return the folder that the user chooses, most likely one in ``parent``; None if none."""
    path = QFileDialog.getExistingDirectory(window, title, str(parent))
    return Path(path) if path else None
