"""The command line, and what it starts. Qt is imported late: ``--version`` and ``--help`` answer without it."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from convviz import __version__
from convviz.startup import StartError, require_display, require_qt

if TYPE_CHECKING:
    from convviz.ui.main_window import MainWindow

USAGE_ERROR = 2
INTERRUPTED = 130
DEFAULT_TOUR_SIZE = (1280, 720)


def run() -> NoReturn:
    """Run the command line and leave with its exit code."""
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name) and return the exit code.

    What the user can put right is said in one line on stderr, with exit code 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["tour"]:
            return _tour(_tour_parser().parse_args(arguments[1:]))
        if arguments[:1] == ["train"]:
            return _train(arguments[1:])
        if arguments[:1] == ["inspect"]:
            return _inspect(arguments[1:])
        return _open_file(_window_parser().parse_args(arguments).file)
    except StartError as error:
        print("convviz:", " ".join(str(error).split()), file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StartError(f"{message}; see {self.prog} --help")


def _window_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="convviz",
        description="See convolution: step a kernel across a grid with every number live.",
        epilog='"convviz inspect FILE" opens weights, "convviz train --out RUN" trains a network, '
        '"convviz tour --out DIR" writes a picture of every page; all answer to --help.',
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="picture or .convviz stack to open in the Lab"
    )
    parser.add_argument("--version", action="version", version=f"convviz {__version__}")
    return parser


def _tour_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="convviz tour",
        description="Write a PNG of every page in telling states. No display is needed.",
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument(
        "--size", type=_size, default=DEFAULT_TOUR_SIZE, metavar="WxH", help="window size in pixels (default: 1280x720)"
    )
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="light or dark (default: light)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="S", help="interface scale, 0.75 to 3 (default: 1)")
    return parser


def _train(arguments: Sequence[str]) -> int:
    from convviz.train_command import add_arguments, run

    parser = _Parser(
        prog="convviz train", description="Train a network and write it to a run's folder.", allow_abbrev=False
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _inspect(arguments: Sequence[str]) -> int:
    from convviz.inspect_command import add_arguments, check, print_tensors

    parser = _Parser(
        prog="convviz inspect", description="Open weights and see what their filters see.", allow_abbrev=False
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    check(options)
    if options.list:
        return print_tensors(options)

    def open_first(window: MainWindow) -> None:
        window.show_page(window.inspect)
        window.inspect.open(options.file)

    return _open_window(open_first)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{3,4})x(\d{3,4})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1280x720 (each side 100 to 9999)")
    return int(match[1]), int(match[2])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _tour(options: argparse.Namespace) -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    require_qt()
    from convviz.ui import theme
    from convviz.ui.tour import render_tour

    if not theme.MIN_SCALE <= options.scale <= theme.MAX_SCALE:
        raise StartError(f"--scale {options.scale:g} is not between {theme.MIN_SCALE:g} and {theme.MAX_SCALE:g}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        pictures = render_tour(options.out, options.size, options.theme, options.scale)
    except OSError as error:
        raise StartError(f"the pictures cannot be written: {error}") from error
    for picture in pictures:
        print(picture)
    return 0


def _open_file(path: Path | None) -> int:
    if path is None:
        return _open_window(lambda window: None)
    if not _is_file(path):
        raise StartError(f"there is no file {str(path)!r}; see convviz --help")
    return _open_window(lambda window: window.open_file(path))


def _open_window(open_first: Callable[[MainWindow], None]) -> int:
    """Open the window, have something opened in it, and return the exit code once it is closed."""
    require_qt()
    require_display()
    from PySide6.QtWidgets import QApplication

    from convviz.ui import theme
    from convviz.ui.errors import ErrorReporter
    from convviz.ui.main_window import MainWindow
    from convviz.ui.settings import Settings
    from convviz.ui.terminal import TerminalSignals

    application = QApplication(["convviz"])
    application.setApplicationName("convviz")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("convviz")
    reporter = ErrorReporter()
    reporter.install()
    try:
        settings = Settings()
        theme.apply(application, settings.theme, settings.scale)
        window = MainWindow(settings)
        TerminalSignals(application, window.close_at_once)
        open_first(window)
        window.show()
        gc.freeze()  # what the start made stays; looking through it again would halt the window for some 30 ms
        return application.exec()
    except Exception as error:  # what keeps the window from opening takes the same road into the log
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    finally:
        reporter.uninstall()
        gc.freeze()  # the process ends: to look through torch's modules once more would take seconds
