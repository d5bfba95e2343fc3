"""Where the program's own files are."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CANDIDATES = (_PACKAGE / "resources", _PACKAGE.parent / "resources")  # in an installed wheel; in a checkout


def resource(name: str) -> Path:
    """Return the path of `name` (such as ``"icons/play.svg"``) below ``resources/``.

    Raises `FileNotFoundError`, naming the resource, when there is no such file or folder.
    """
    for folder in _CANDIDATES:
        if (path := folder / name).exists():
            return path
    raise FileNotFoundError(f"convviz has no resource {name!r}")
