import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from convviz.core.pictures import PictureError, load_picture

ACCEPTED = "PNG, JPEG, WebP and BMP pictures of up to 50 megapixels are accepted."


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def colours(size: tuple[int, int] = (8, 6)) -> Image.Image:
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 250, height).astype(np.uint8)[:, None]
    pixels[..., 2] = 40
    return Image.fromarray(pixels)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def bmp_header(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 154, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
    )


def webp_header(width: int, height: int) -> bytes:
    pixels = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(65)
    body = b"WEBPVP8L" + struct.pack("<I", len(pixels)) + pixels
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_come_back_pixel_for_pixel(kind: str, tmp_path: Path) -> None:
    image = colours()
    path = tmp_path / "misleading.txt"
    path.write_bytes(encode(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    x_CHW = load_picture(path, None, "rgb")
    assert x_CHW.dtype == np.float64
    assert np.array_equal(x_CHW, np.asarray(image).transpose(2, 0, 1))


def test_jpeg_comes_back_close() -> None:
    x_CHW = load_picture(encode(colours((64, 48)), "JPEG", quality=95), None, "rgb")
    assert np.abs(x_CHW - np.asarray(colours((64, 48))).transpose(2, 0, 1)).mean() < 5


def test_path_bytes_and_stream_are_the_same_picture(tmp_path: Path) -> None:
    data = encode(colours())
    (tmp_path / "a.png").write_bytes(data)
    pictures = [load_picture(source, (4, 4), "rgb") for source in (tmp_path / "a.png", data, io.BytesIO(data))]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


def test_grey_is_the_luma_of_the_colours() -> None:
    data = encode(Image.new("RGB", (3, 2), (200, 100, 50)))
    assert load_picture(data, None, "grey").tolist() == [[[124] * 3] * 2]


def test_each_cell_is_the_mean_of_its_pixels() -> None:
    pixels = np.array([[0, 100, 10, 30], [100, 200, 50, 70]], dtype=np.uint8)
    assert load_picture(encode(Image.fromarray(pixels)), (1, 2), "grey").tolist() == [[[100, 40]]]


@pytest.mark.parametrize(
    ("size", "shape"),
    [((20000, 1), (1, 512)), ((1, 20000), (512, 1)), ((1, 1), (1, 1)), ((600, 300), (256, 512)), ((40, 30), (30, 40))],
)
def test_without_a_size_the_longer_side_is_limited(size: tuple[int, int], shape: tuple[int, int]) -> None:
    data = encode(Image.new("L", size, 7))
    x_CHW = load_picture(data, None, "grey")
    assert x_CHW.shape == (1, *shape)
    assert (x_CHW == 7).all()


@pytest.mark.parametrize("size", [(20000, 1), (1, 1)])
def test_extreme_shapes_are_stretched_to_a_given_size(size: tuple[int, int]) -> None:
    x_CHW = load_picture(encode(Image.new("RGB", size, (1, 2, 3))), (5, 9), "rgb")
    assert x_CHW.shape == (3, 5, 9)
    assert (x_CHW == np.array([1, 2, 3])[:, None, None]).all()


def test_cmyk_jpeg_has_the_right_colours() -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = load_picture(data, (1, 1), "rgb").ravel()
    assert red > 240
    assert max(green, blue) < 15


def test_palette_with_transparency_lies_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    x_CHW = load_picture(encode(image, transparency=0), None, "rgb")
    assert x_CHW[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_half_transparent_black_on_white_is_mid_grey(mode: Literal["RGBA", "LA"]) -> None:
    colour = (0, 0, 0, 128) if mode == "RGBA" else (0, 128)
    assert load_picture(encode(Image.new(mode, (1, 1), colour)), None, "grey").tolist() == [[[127]]]


def test_colour_under_full_transparency_does_not_bleed_when_the_picture_shrinks() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 255, 255))
    assert load_picture(encode(image), (1, 1), "rgb").ravel().tolist() == pytest.approx([127, 127, 255], abs=1)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    image = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    assert image.mode == "I;16"
    assert load_picture(encode(image), None, "grey").tolist() == [[[0, 1, 128, 255]]]
    assert load_picture(encode(image), None, "rgb")[2].tolist() == [[0, 1, 128, 255]]


def test_black_and_white_bits_become_0_and_255() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert load_picture(encode(image), None, "grey").tolist() == [[[0, 255]]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_show_their_first_picture(kind: str) -> None:
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    data = encode(first, kind, save_all=True, append_images=[second], duration=100)
    red, _, blue = load_picture(data, (1, 1), "rgb").ravel()
    assert red > 240
    assert blue < 15


def test_the_cameras_orientation_is_applied() -> None:
    image = Image.new("L", (2, 1))
    image.putpixel((1, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: show a quarter turn clockwise
    assert load_picture(encode(image, exif=exif.tobytes()), None, "grey").tolist() == [[[0], [255]]]


def test_unreadable_metadata_does_not_spoil_the_picture() -> None:
    data = encode(Image.new("L", (1, 1), 9), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert load_picture(data, None, "grey").tolist() == [[[9]]]


@pytest.mark.parametrize("make", [png_header, bmp_header, webp_header])
@pytest.mark.parametrize("size", [(16000, 3200), (9500, 9500), (16383, 16383)])
def test_bombs_are_refused_before_they_are_decoded(make: Any, size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=f"^The picture has too many pixels.* {ACCEPTED}$"):
        load_picture(make(*size), (8, 8), "grey")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(PictureError, match=f"^The picture is damaged or .*{ACCEPTED}$"):
        load_picture(data[: int(share * len(data))], (8, 8), "grey")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_any_damaged_byte_gives_a_picture_or_a_picture_error(kind: str) -> None:
    data = encode(colours((16, 12)), kind)
    rng = np.random.default_rng(1)
    for position in rng.integers(0, len(data), 150).tolist():
        damaged = bytearray(data)
        damaged[position] ^= int(rng.integers(1, 256))
        try:
            x_CHW = load_picture(bytes(damaged), (4, 4), "rgb")
        except PictureError:
            continue
        assert x_CHW.shape == (3, 4, 4)


def test_an_animated_gif_is_refused_with_the_formats_that_are_accepted() -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 255)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=f"^The picture is damaged or of another kind. {ACCEPTED}$"):
        load_picture(data, None, "grey")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"dear diary", "is damaged or of another kind"), (b"\x89PNG\r\n\x1a\n", "is damaged")],
)
def test_files_that_hold_no_picture(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=f"^“holiday.png” {message}.*{ACCEPTED}$"):
        load_picture(path, None, "grey")


def test_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=f"is a folder. {ACCEPTED}"):
        load_picture(tmp_path, None, "grey")
    with pytest.raises(PictureError, match=f"“no.png” does not exist. {ACCEPTED}"):
        load_picture(tmp_path / "no.png", None, "grey")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a POSIX thing")
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match=f"“pipe.png” is not an ordinary file. {ACCEPTED}"):
        load_picture(tmp_path / "pipe.png", None, "grey")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encode(colours()))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError, match=f"“secret.png” cannot be read: .*{ACCEPTED}"):
        load_picture(path, None, "grey")
