import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QImage

from convviz import __version__
from convviz.core import stack_file
from convviz.core.presets import PRESETS

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "convviz"]
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Qt on Linux needs a display server")

OPEN_AND_QUIT = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from convviz.app import main

execute = QApplication.exec

def execute_until_shown(*_):
    QTimer.singleShot(0, QApplication.quit)
    return execute()

QApplication.exec = execute_until_shown
code = main({arguments!r})
print(sorted({{name.partition(".")[0] for name in sys.modules}} & {modules!r}))
sys.exit(code)
"""

OPEN_AND_SAY_SO = """
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from convviz.app import run

execute = QApplication.exec

def execute_and_say_so(*_):
    QTimer.singleShot(0, lambda: print("ready", flush=True))
    return execute()

QApplication.exec = execute_and_say_so
run()
"""


def run(command: list[str], **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command at the repository's root with these environment variables (None: unset)."""
    environment = {**os.environ, "COLUMNS": "100", **variables}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that ended with exit code 2."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("convviz: ")
    return line


def said(errors: str) -> list[str]:
    """Lines on stderr, without what the offscreen platform says of every window with a size limit."""
    return [line for line in errors.splitlines() if "does not support propagateSizeHints" not in line]


def test_version() -> None:
    done = run([*COMMAND, "--version"])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"convviz {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["FILE", ".convviz", "convviz tour", "--version"]),
        (["tour", "--help"], ["--out", "--size", "--theme", "--scale"]),
    ],
)
def test_help(arguments: list[str], words: list[str]) -> None:
    done = run([*COMMAND, *arguments])
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in words)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_answering_needs_neither_qt_nor_numpy(option: str) -> None:
    program = f"""
import sys
from convviz.app import main
try:
    main([{option!r}])
except SystemExit:
    print({{name.partition(".")[0] for name in sys.modules}} & {{"PySide6", "numpy", "torch", "PIL"}})
"""
    assert run([sys.executable, "-c", program]).stdout.endswith("set()\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--colour"], ["--colour", "convviz --help"]),
        (["--vers"], ["--vers", "convviz --help"]),
        (["missing.png"], ["'missing.png'"]),
        (["missing.convviz"], ["'missing.convviz'"]),
        (["tests"], ["'tests'"]),
        (["line\nbreak.png"], ["there is no file"]),
        (["x" * 5000], ["there is no file"]),
        (["one.png", "two.png"], ["two.png"]),
        (["tour"], ["--out", "convviz tour --help"]),
        (["tour", "--out", "x", "--size", "0x10"], ["0x10", "1280x720"]),
        (["tour", "--out", "x", "--theme", "pink"], ["pink", "light", "dark"]),
        (["tour", "--out", "x", "--scale", "nan"], ["nan", "0.75"]),
        (["tour", "--out", "x", "--scale", "big"], ["big"]),
        (["tour", "--out", "README.md"], ["README.md"]),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments: list[str], words: list[str]) -> None:
    line = complaint(run([*COMMAND, *arguments]))
    assert all(word in line for word in words)


@ON_LINUX
def test_no_display_is_one_line() -> None:
    done = run(COMMAND, QT_QPA_PLATFORM=None, DISPLAY=None, WAYLAND_DISPLAY=None)
    assert "no display" in complaint(done)


@ON_LINUX
def test_a_dead_display_is_one_line() -> None:
    assert "DISPLAY=:987" in complaint(run(COMMAND, QT_QPA_PLATFORM=None, DISPLAY=":987", WAYLAND_DISPLAY=None))


@ON_LINUX
def test_an_unknown_platform_is_one_line() -> None:
    assert "'nowhere'" in complaint(run(COMMAND, QT_QPA_PLATFORM="nowhere"))


@pytest.mark.parametrize("arguments", [[], ["tour", "--out", "x"]], ids=["window", "tour"])
def test_a_missing_library_is_one_line_with_its_package(tmp_path: Path, arguments: list[str]) -> None:
    package = tmp_path / "PySide6"
    package.mkdir()
    (package / "__init__.py").write_text('raise ImportError("libEGL.so.1: cannot open shared object file")')
    line = complaint(run([*COMMAND, *arguments], PYTHONPATH=str(tmp_path)))
    assert "libEGL.so.1" in line
    assert "apt-get install libegl1" in line


def test_a_window_opens_without_what_it_does_not_need() -> None:
    heavy = {"torch", "torchvision", "pyqtgraph"}
    done = run([sys.executable, "-c", OPEN_AND_QUIT.format(arguments=[], modules=heavy)])
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, "[]\n", [])


def test_a_picture_opens(tmp_path: Path) -> None:
    image = QImage(12, 8, QImage.Format.Format_RGB32)
    image.fill(QColor("teal"))
    assert image.save(str(tmp_path / "picture.png"))
    done = run([sys.executable, "-c", OPEN_AND_QUIT.format(arguments=[str(tmp_path / "picture.png")], modules=set())])
    assert (done.returncode, said(done.stderr)) == (0, [])


@pytest.mark.parametrize("text", [stack_file.to_json(PRESETS["lenet5"]()), "no stack"])
def test_a_stack_file_opens(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.convviz"
    path.write_text(text, encoding="utf-8")
    heavy = {"torch", "torchvision"}
    done = run([sys.executable, "-c", OPEN_AND_QUIT.format(arguments=[str(path)], modules=heavy)])
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, "[]\n", [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_SAY_SO], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, said(errors)) == (0, [])


def test_what_keeps_the_window_from_opening_is_logged(tmp_path: Path) -> None:
    program = """
import convviz.ui.settings
from convviz.app import run

def fail(*_):
    raise ValueError("broken on purpose")

convviz.ui.settings.Settings = fail
run()
"""
    done = run([sys.executable, "-c", program], XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "ValueError: broken on purpose" in done.stderr
    if sys.platform == "linux":
        assert "ValueError: broken on purpose" in (tmp_path / "convviz" / "convviz.log").read_text()


def test_tour_writes_pictures_of_the_asked_size(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pictures"
    arguments = ["tour", "--out", str(folder), "--size", "1280x720", "--theme", "dark"]
    done = run([*COMMAND, *arguments], DISPLAY=None, QT_QPA_PLATFORM=None)
    assert done.returncode == 0, done.stderr
    pictures = sorted(folder.iterdir())
    assert sorted(map(Path, done.stdout.splitlines())) == pictures
    assert pictures
    assert {QImage(str(path)).size().toTuple() for path in pictures} == {(1280, 720)}
