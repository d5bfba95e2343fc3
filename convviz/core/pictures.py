"""Picture files as input grids. Files come from strangers: nothing is decoded before its kind and size are known."""

import stat
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convviz.core.refusal import RefusalError

Grid = NDArray[np.float64]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MAX_PIXELS = 50_000_000

_ACCEPTED = "PNG, JPEG, WebP and BMP pictures of up to 50 megapixels are accepted."


class PictureError(RefusalError):
    """A file that cannot be used as a picture; the message says what was wrong and what is accepted."""


def load_picture(
    source: Path | bytes | BinaryIO,
    size: tuple[int, int] | None,
    mode: Literal["grey", "rgb"],
    max_side: int = 512,
) -> Grid:
    """Return the picture in a file, its bytes or a seekable stream as `(1 or 3, H, W)` whole numbers from 0 to 255.

    The picture is stretched to `size` = `(H, W)`; without a size it keeps its shape and shrinks until its longer side
    is at most `max_side`. Each cell is the mean of the pixels it covers;
    an enlarged picture is smooth (bicubic). The format is told by the content, not the
    name; the camera's orientation is applied, transparent parts lie on white, 16-bit grey is scaled, an animation gives
    its first picture, and grey is the ITU-R 601 luma. Raises PictureError for whatever is not such a picture.
    """
    if isinstance(source, bytes):
        return _load(BytesIO(source), "The picture", size, mode, max_side)
    if not isinstance(source, Path):
        return _load(source, "The picture", size, mode, max_side)
    name = f"“{source.name}”"
    try:
        kind = source.stat().st_mode
        if stat.S_ISDIR(kind):
            raise PictureError("{name} is a folder.", _ACCEPTED, name=name)
        if not stat.S_ISREG(kind):  # opening a named pipe would wait for ever
            raise PictureError("{name} is not an ordinary file.", _ACCEPTED, name=name)
        with source.open("rb") as stream:
            return _load(stream, name, size, mode, max_side)
    except FileNotFoundError:
        raise PictureError("{name} does not exist.", _ACCEPTED, name=name) from None
    except OSError:
        raise PictureError(
            "{name} cannot be read: check its permissions and its drive.", _ACCEPTED, name=name
        ) from None


def _load(stream: BinaryIO, name: str, size: tuple[int, int] | None, mode: str, max_side: int) -> Grid:
    if not stream.read(1):
        raise PictureError("{name} is empty.", _ACCEPTED, name=name)
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of large sizes, which are checked below
        try:
            image = Image.open(stream, formats=FORMATS)
        except Image.DecompressionBombError:
            raise PictureError("{name} has too many pixels.", _ACCEPTED, name=name) from None
        except Exception:  # whatever the bytes made the decoders raise
            raise PictureError("{name} is damaged or of another kind.", _ACCEPTED, name=name) from None
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PictureError(
                "{name} has too many pixels ({width} × {height}).", _ACCEPTED, name=name, width=width, height=height
            )
        try:
            image.load()
            plain = _plain(_upright(image))
        except Exception:  # whatever the bytes made the decoders raise
            raise PictureError("{name} is damaged or incomplete.", _ACCEPTED, name=name) from None
    return _grid(plain, size, mode, max_side)


def _upright(image: Image.Image) -> Image.Image:
    """Turn a loaded picture the way its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # unreadable metadata does not spoil the pixels
        return image


def _plain(image: Image.Image) -> Image.Image:
    """Return a loaded picture of any mode as 8-bit L, RGB or RGBA."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow itself would clip
        grey = np.asarray(image).astype(np.uint32)
        bytes_HW = ((grey + 128) // 257).astype(np.uint8)
        bytes_HW[grey == image.info.get("transparency", -1)] = 255
        return Image.fromarray(bytes_HW)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _grid(image: Image.Image, size: tuple[int, int] | None, mode: str, max_side: int) -> Grid:
    """Return an L, RGB or RGBA picture as `(1 or 3, H, W)` at the size `load_picture` describes."""
    if size is None:
        shrink = min(1.0, max_side / max(image.size))
        width, height = (max(1, round(side * shrink)) for side in image.size)
    else:
        height, width = size
    enlarged = width > image.width or height > image.height
    image = image.resize((width, height), Image.Resampling.BICUBIC if enlarged else Image.Resampling.BOX)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.asarray(image.convert("L" if mode == "grey" else "RGB"), dtype=np.float64)
    return pixels[None] if mode == "grey" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
