"""Whether the program can start here, found out before Qt is asked: Qt answers a missing display with abort()."""

import builtins
import ctypes
import os
import socket
import sys
from pathlib import Path

QT_PACKAGES = (
    "libegl1 libgl1 libdbus-1-3 libfontconfig1 libglib2.0-0 libxkbcommon-x11-0 libx11-xcb1 libwayland-cursor0 "
    "libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 "
    "libxcb-xkb1"
)
"""The Debian and Ubuntu packages that hold what Qt needs of the system."""


class StartError(Exception):
    """What keeps the program from doing what it was asked; the text is one line and names the cure."""


def require_qt() -> None:
    """Import Qt; raises `StartError` when it or a system library of its own is missing.

    PySide puts an import function of its own in place of Python's. It reads the source of each module that is imported
    afterwards, to see whether it changes PySide's ways, and Python keeps all lines: those of torch take 90 MB and a
    tenth of the time of its import. Nothing here changes PySide's ways, so Python's own function is put back.
    """
    own_import = builtins.__import__
    try:
        import PySide6.QtWidgets  # noqa: F401, PLC0415 - this is the test
    except ModuleNotFoundError as error:
        raise StartError(f"{error}; install it with: python -m pip install PySide6-Essentials") from error
    except ImportError as error:
        raise StartError(_library_cure(error)) from error
    finally:
        builtins.__import__ = own_import


def require_display() -> None:
    """Raise `StartError` when Qt could not open a window on this machine (on Linux; elsewhere it always can)."""
    if sys.platform != "linux":
        return
    platforms = _platforms()
    if not platforms:
        raise StartError(
            "no display (neither DISPLAY nor WAYLAND_DISPLAY is set); start convviz in a desktop session, "
            "or make pictures without one: convviz tour --out DIR"
        )
    problems = [_problem(platform) for platform in platforms]
    if None not in problems:  # Qt takes the first platform that works
        raise StartError(problems[-1])


def _platforms() -> list[str]:
    """Return the names of the platforms that Qt will try, in its order."""
    if chosen := os.environ.get("QT_QPA_PLATFORM"):
        return [platform.partition(":")[0] for platform in chosen.split(";")]
    variables = {"wayland": "WAYLAND_DISPLAY", "xcb": "DISPLAY"}
    return [platform for platform, variable in variables.items() if os.environ.get(variable)]


def _problem(platform: str) -> str | None:
    from PySide6.QtCore import QLibraryInfo  # noqa: PLC0415 - not before require_qt

    folder = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)) / "platforms"
    family = platform.partition("-")[0]
    plugins = [path for path in folder.iterdir() if path.name.startswith(f"libq{family}")]
    if not plugins:
        return f"this Qt has no platform {platform!r}; unset QT_QPA_PLATFORM"
    try:
        for plugin in plugins:
            ctypes.CDLL(str(plugin))
    except OSError as error:
        return _library_cure(error)
    if family == "xcb" and not _x_server_answers():
        return _silent_server("DISPLAY")
    if family == "wayland" and not _wayland_answers():
        return _silent_server("WAYLAND_DISPLAY")
    return None


def _x_server_answers() -> bool:
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    has_error = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not has_error


def _wayland_answers() -> bool:
    address = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / os.environ.get("WAYLAND_DISPLAY", "wayland-0")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


def _silent_server(variable: str) -> str:
    server = os.environ.get(variable, "")
    return f"the display server of {variable}={server} does not answer; start convviz in a desktop session"


def _library_cure(error: ImportError | OSError) -> str:
    return f"Qt cannot load {error}; on Debian or Ubuntu: sudo apt-get install {QT_PACKAGES}"
