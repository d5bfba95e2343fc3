"""Start the installed command on an X server, wait for its window, end it by a signal, and expect exit code 0."""

import ctypes
import signal
import subprocess
import sys
import time
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_uint, c_ulong, c_void_p

PATIENCE_S = 60
IS_VIEWABLE = 2


class WindowAttributes(Structure):
    """The X library's XWindowAttributes, with room for what follows the fields of interest."""

    _fields_ = (
        *((name, c_int) for name in ("x", "y", "width", "height", "border_width", "depth")),
        ("visual", c_void_p),
        ("root", c_ulong),
        *((name, c_int) for name in ("class_", "bit_gravity", "win_gravity", "backing_store")),
        ("backing_planes", c_ulong),
        ("backing_pixel", c_ulong),
        ("save_under", c_int),
        ("colormap", c_ulong),
        ("map_installed", c_int),
        ("map_state", c_int),
        ("rest", c_ulong * 16),
    )


x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype = c_void_p
x11.XDefaultRootWindow.restype = c_ulong
x11.XDefaultRootWindow.argtypes = (c_void_p,)
x11.XQueryTree.argtypes = (c_void_p, c_ulong, *[POINTER(c_ulong)] * 2, POINTER(POINTER(c_ulong)), POINTER(c_uint))
x11.XGetWindowAttributes.argtypes = (c_void_p, c_ulong, POINTER(WindowAttributes))
x11.XFetchName.argtypes = (c_void_p, c_ulong, POINTER(c_char_p))


def visible_windows(display: c_void_p) -> list[tuple[str, int, int]]:
    """Title, width and height of every top-level window on the screen."""
    root, parent, children, count = c_ulong(), c_ulong(), POINTER(c_ulong)(), c_uint()
    x11.XQueryTree(display, x11.XDefaultRootWindow(display), byref(root), byref(parent), byref(children), byref(count))
    windows = []
    for window in children[: count.value]:
        attributes, title = WindowAttributes(), c_char_p()
        x11.XGetWindowAttributes(display, window, byref(attributes))
        if attributes.map_state == IS_VIEWABLE:
            x11.XFetchName(display, window, byref(title))
            windows.append(((title.value or b"").decode(), attributes.width, attributes.height))
    return windows


def open_and_close(display: c_void_p, number: signal.Signals) -> None:
    """Run ``convviz`` until its window shows, send it the signal and check how it ends."""
    start = time.monotonic()
    with subprocess.Popen(["convviz"]) as process:
        while not (windows := visible_windows(display)):
            if process.poll() is not None or time.monotonic() - start > PATIENCE_S:
                process.kill()
                sys.exit(f"convviz showed no window (exit code {process.poll()})")
            time.sleep(0.02)
        print(f"window {windows} after {time.monotonic() - start:.2f} s")
        process.send_signal(number)
        if (code := process.wait(PATIENCE_S)) != 0:
            sys.exit(f"convviz ended with {code} at {number.name}")
    print(f"ended by {number.name} with exit code 0")


opened = c_void_p(x11.XOpenDisplay(None))
for ending in (signal.SIGINT, signal.SIGTERM):
    open_and_close(opened, ending)
