# mypy: disable-error-code="no-any-return"
# (numpy says Any of what its functions make of float32 arrays.)
"""Shapes-10: ten classes of shapes and textures drawn by formula, so that a network can be trained without a download.

A picture is a figure (disc, ring, square, triangle, star, cross) somewhere on a plain ground, or a texture (stripes,
waves, checks, dots) all over it. Place, size, angle, colours, contrast, light and noise are drawn at random, and thin
lines and spots lie about: no single pixel, colour or direction tells the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from convviz.core.control import StopToken
from convviz.nn.source import DRAWING, DataProgress, Labels, Pictures, Pixels, Source, Steps, entry_name

Floats = npt.NDArray[np.float32]
"""A number a pixel of N pictures, (N, H, W), or a number a picture, (N, 1, 1); colours have (N, 3, 1, 1)."""
Outline = Callable[[Floats, Floats, Floats], Floats]
"""(u, v, radius or period) → the signed distance from (u, v) to the outline in pixels, negative inside."""
Clutter = Callable[[np.random.Generator, Floats, Floats, int], Floats]
"""(rng, y, x, N) → the signed distance to something that lies about in N pictures, (N, H, W)."""

NUM_TRAIN = 20_000
NUM_TEST = 4_000
VERSION = 1
"""Changes whenever the same seed gives other pictures."""

_PIXELS_AT_ONCE = 1 << 19


def shapes10(size: tuple[int, int], channels: int, seed: int) -> Source:
    """Return the data set, whose pictures are the same for the same seed."""

    def pictures(token: StopToken) -> Steps[Pictures]:
        yield DataProgress(0, NUM_TRAIN + NUM_TEST, DRAWING)
        rng = np.random.default_rng(seed)
        train, test = (rng.permutation(np.arange(count) % len(OUTLINES)) for count in (NUM_TRAIN, NUM_TEST))
        return Pictures(
            classes=tuple(OUTLINES),
            train_labels=train,
            test_labels=test,
            shape=shape,
            chunks=_chunks(np.concatenate((train, test)), size, channels, rng),
            what=DRAWING,
        )

    shape = (channels, *size)
    return Source("Shapes-10 (synthetic)", entry_name("shapes10", shape), f"{VERSION}, seed {seed}", pictures)


def _chunks(labels: Labels, size: tuple[int, int], channels: int, rng: np.random.Generator) -> Iterator[Pixels]:
    at_once = max(1, _PIXELS_AT_ONCE // (size[0] * size[1]))
    for begin in range(0, len(labels), at_once):
        yield draw(labels[begin : begin + at_once], size, channels, rng)


def draw(labels: Labels, size: tuple[int, int], channels: int, rng: np.random.Generator) -> Pixels:
    """Return a picture of each label's class, (N, C, H, W); one channel is the ITU-R 601 luma of three."""
    count = len(labels)
    y, x = (np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2) for side in size)
    y = y[:, None]

    light = _uniform(rng, 0.2, 0.8, count)
    pictures = np.empty((count, 3, *size), np.float32)
    pictures[:] = _colour(rng, light) + _ramp(rng, y, x, count)
    for _ in range(2):
        _paint_some(rng, _line, pictures, light, y, x)
        _paint_some(rng, _spot, pictures, light, y, x)

    distance = np.empty((count, *size), np.float32)
    for index, (name, outline) in enumerate(OUTLINES.items()):
        chosen = labels == index
        place = _texture if name in TEXTURES else _figure
        distance[chosen] = place(rng, outline, y, x, int(chosen.sum()))
    contrast = _uniform(rng, 0.2, 0.5, count)
    darker = rng.random(light.shape) < light
    _paint(pictures, distance, _colour(rng, light + np.where(darker, -contrast, contrast)))

    noise = rng.random(pictures.shape, np.float32)
    noise -= 0.5
    noise *= _uniform(rng, 0.07, 0.35, count)[..., None]
    pictures += noise
    if channels == 1:
        pictures = np.einsum("nchw,c->nhw", pictures, np.array([0.299, 0.587, 0.114], np.float32))[:, None]
    np.clip(pictures, 0, 1, out=pictures)
    pictures *= 255
    return np.rint(pictures, out=pictures).astype(np.uint8)


def _uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Floats:
    return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)


def _colour(rng: np.random.Generator, light: Floats) -> Floats:
    """Return a colour of any hue and of the given lightness for each picture."""
    hue, chroma = _uniform(rng, 0, 1, len(light))[:, None], _uniform(rng, 0.03, 0.25, len(light))[:, None]
    thirds = np.arange(3, dtype=np.float32).reshape(3, 1, 1) / 3
    return np.clip(light, 0.05, 0.95)[:, None] + chroma * np.cos(np.float32(2 * np.pi) * (hue - thirds))


def _ramp(rng: np.random.Generator, y: Floats, x: Floats, count: int) -> Floats:
    """Return light that falls from one side, (N, 1, H, W)."""
    angle, slope = _uniform(rng, 0, 2 * np.pi, count), _uniform(rng, 0, 0.35 / max(y.size, x.size), count)
    return ((y * np.sin(angle) + x * np.cos(angle)) * slope)[:, None]


def _paint(pictures: Floats, distance: Floats, colour: Floats) -> None:
    """Paint what lies inside an outline; its edge is a pixel wide."""
    inside = np.clip(0.5 - distance, 0, 1)[:, None]
    pictures += inside * (colour - pictures)


def _paint_some(
    rng: np.random.Generator, clutter: Clutter, pictures: Floats, light: Floats, y: Floats, x: Floats
) -> None:
    """Paint clutter into every other picture, on the average."""
    chosen = np.flatnonzero(rng.random(len(pictures)) < 0.5)
    count = len(chosen)
    painted = pictures[chosen]
    _paint(painted, clutter(rng, y, x, count), _colour(rng, light[chosen] + _uniform(rng, -0.4, 0.4, count)))
    pictures[chosen] = painted


def _line(rng: np.random.Generator, y: Floats, x: Floats, count: int) -> Floats:
    angle = _uniform(rng, 0, np.pi, count)
    v, u = _anywhere(rng, y, x, count)
    return np.abs(v * np.cos(angle) + u * np.sin(angle)) - _uniform(rng, 0.01, 0.03, count) * min(y.size, x.size)


def _spot(rng: np.random.Generator, y: Floats, x: Floats, count: int) -> Floats:
    return np.hypot(*_anywhere(rng, y, x, count)) - _uniform(rng, 0.03, 0.08, count) * min(y.size, x.size)


def _anywhere(rng: np.random.Generator, y: Floats, x: Floats, count: int) -> tuple[Floats, Floats]:
    """Return y and x as seen from a place in each picture."""
    return y - _uniform(rng, -0.5, 0.5, count) * y.size, x - _uniform(rng, -0.5, 0.5, count) * x.size


def _texture(rng: np.random.Generator, outline: Outline, y: Floats, x: Floats, count: int) -> Floats:
    period = _uniform(rng, 0.18, 0.36, count) * min(y.size, x.size)
    return _turned(rng, outline, *_anywhere(rng, y, x, count), period)


def _figure(rng: np.random.Generator, outline: Outline, y: Floats, x: Floats, count: int) -> Floats:
    """Place a figure where at most a twentieth of the picture's side is cut off."""
    radius = _uniform(rng, 0.2, 0.42, count) * min(y.size, x.size)
    v, u = (along - _uniform(rng, -1, 1, count) * np.maximum(0.55 * along.size - radius, 0) for along in (y, x))
    return _turned(rng, outline, v, u, radius)


def _turned(rng: np.random.Generator, outline: Outline, v: Floats, u: Floats, radius: Floats) -> Floats:
    angle = _uniform(rng, 0, 2 * np.pi, len(radius))
    cos, sin = np.cos(angle), np.sin(angle)
    return outline(u * cos + v * sin, v * cos - u * sin, radius)


def disc(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to a circle."""
    return np.hypot(u, v) - radius


def ring(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to a ring, half as wide as its outer radius."""
    return np.abs(np.hypot(u, v) - 0.75 * radius) - 0.25 * radius


def square(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to a square of side 1.6 radius."""
    return np.maximum(np.abs(u), np.abs(v)) - 0.8 * radius


def triangle(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to an equilateral triangle with corners at 1.2 radius."""
    return np.maximum(-v, 0.5 * v + np.float32(np.sqrt(0.75)) * np.abs(u)) - 0.6 * radius


def star(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to a star with five points at 1.1 radius."""
    half = np.float32(np.pi / 5)
    from_notch = np.abs(np.mod(np.arctan2(v, u), 2 * half) - half)
    along, across = (np.hypot(u, v) * turn(half - from_notch) for turn in (np.cos, np.sin))  # tip at (1.1 radius, 0)
    edge = np.array([0.42 * np.cos(half) - 1, 0.42 * np.sin(half)], np.float32)
    step_along, step_across = edge / np.hypot(*edge)
    return (along - 1.1 * radius) * step_across - across * step_along


def cross(u: Floats, v: Floats, radius: Floats) -> Floats:
    """Signed distance to a cross with arms of length radius, 0.64 radius wide."""
    a, b = np.abs(u), np.abs(v)
    return np.maximum(np.maximum(a, b) - radius, np.minimum(a, b) - 0.32 * radius)


def stripes(u: Floats, v: Floats, period: Floats) -> Floats:
    """Signed distance to stripes as wide as their gaps."""
    return _to_multiple(u, period) - 0.25 * period


def waves(u: Floats, v: Floats, period: Floats) -> Floats:
    """About the signed distance to stripes that swing."""
    return stripes(u + 0.3 * period * np.sin(v * (4 / period)), v, period)


def checks(u: Floats, v: Floats, period: Floats) -> Floats:
    """Signed distance to the edges of a checkerboard of squares of 0.7 period."""
    a, b = (stripes(along, along, 1.4 * period) for along in (u, v))
    return np.sign(a * b) * np.minimum(np.abs(a), np.abs(b))


def dots(u: Floats, v: Floats, period: Floats) -> Floats:
    """Signed distance to discs of radius 0.3 period."""
    return np.hypot(_to_multiple(u, period), _to_multiple(v, period)) - 0.3 * period


def _to_multiple(along: Floats, period: Floats) -> Floats:
    """Return the distance to the nearest multiple of the period."""
    return np.abs(along - period * np.rint(along / period))


OUTLINES: dict[str, Outline] = {
    shape.__name__: shape for shape in (disc, ring, square, triangle, star, cross, stripes, waves, checks, dots)
}
"""The classes, in the order of their labels."""

TEXTURES = frozenset({"stripes", "waves", "checks", "dots"})
"""The classes that fill the whole picture."""
