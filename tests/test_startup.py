import ctypes
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from convviz.startup import QT_PACKAGES, StartError, require_display, require_qt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)


def test_qt_is_here() -> None:
    require_qt()


def test_what_is_imported_after_qt_is_imported_by_python_itself() -> None:
    code = "import builtins; own = builtins.__import__; from convviz.startup import require_qt; require_qt()"
    code += "; assert builtins.__import__ is own"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_set_is_no_display() -> None:
    with pytest.raises(StartError, match="neither DISPLAY nor WAYLAND_DISPLAY"):
        require_display()


@pytest.mark.parametrize("platform", ["offscreen", "minimal", "nothing;offscreen"])
def test_a_platform_of_this_qt_is_accepted(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", platform)
    require_display()


def test_an_unknown_platform_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "etch-a-sketch")
    with pytest.raises(StartError, match="no platform 'etch-a-sketch'"):
        require_display()


def test_a_library_that_the_platform_lacks_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: str) -> None:
        raise OSError("libxcb-cursor.so.0: cannot open shared object file: No such file or directory")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(StartError, match=r"libxcb-cursor\.so\.0: .* apt-get install .* libxcb-cursor0 "):
        require_display()


def test_either_server_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-test")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(StartError, match="DISPLAY=:987 does not answer"):
        require_display()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the whole path may be longer than a socket address
        server.bind("wayland-test")
        server.listen()
        monkeypatch.setenv("XDG_RUNTIME_DIR", ".")
        require_display()


def test_a_silent_wayland_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", str(tmp_path / "nobody"))
    with pytest.raises(StartError, match=r"WAYLAND_DISPLAY=.*/nobody does not answer"):
        require_display()


def test_the_readme_names_the_same_packages() -> None:
    assert f"sudo apt-get install {QT_PACKAGES}" in README.read_text(encoding="utf-8")


def test_a_platform_is_not_asked_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    require_display()
