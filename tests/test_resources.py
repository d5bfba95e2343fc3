from pathlib import Path

import pytest

from convviz import resources
from convviz.resources import resource


def test_a_missing_resource_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"'icons/nothing\.svg'"):
        resource("icons/nothing.svg")


def test_icons_are_found() -> None:
    assert resource("icons").is_dir()


@pytest.mark.parametrize("place", ["convviz/resources", "resources"], ids=["wheel", "checkout"])
def test_both_places_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    file = tmp_path / place / "icons" / "play.svg"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(resources, "_CANDIDATES", (tmp_path / "convviz" / "resources", tmp_path / "resources"))
    assert resource("icons/play.svg") == file
