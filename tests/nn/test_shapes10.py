from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.control import StopToken
from convviz.nn import shapes10 as shapes
from convviz.nn.shapes10 import OUTLINES, Floats, draw, shapes10
from tests.nn.steps import followed


def area(name: str, radius: float) -> float:
    """How many of 400×400 pixels lie within an outline."""
    along = np.arange(-199.5, 200, dtype=np.float32)
    distance = OUTLINES[name](along[None, None, :], along[None, :, None], np.full((1, 1, 1), radius, np.float32))
    return float((distance < 0).mean() * 400**2)


@pytest.mark.parametrize(
    ("name", "in_squared_radii"),
    [
        ("disc", np.pi),
        ("ring", np.pi * (1 - 0.25)),
        ("square", 1.6**2),
        ("triangle", 0.75 * np.sqrt(3) * 1.2**2),
        ("star", 10 * 0.5 * 1.1**2 * 0.42 * np.sin(np.pi / 5)),
        ("cross", 1.28 + 1.28 - 0.64**2),
    ],
)
def test_figures_have_the_area_of_the_formula(name: str, in_squared_radii: float) -> None:
    assert area(name, 100) == pytest.approx(in_squared_radii * 100**2, rel=0.01)


@pytest.mark.parametrize(("name", "share"), [("stripes", 0.5), ("waves", 0.5), ("checks", 0.5), ("dots", np.pi * 0.09)])
def test_textures_cover_the_share_of_the_formula(name: str, share: float) -> None:
    assert area(name, 40 / 1.4) == pytest.approx(share * 400**2, rel=0.03)


def distance(name: str, u: float, v: float, radius: float = 10) -> float:
    point: list[Floats] = [np.full((1, 1, 1), number, np.float32) for number in (u, v, radius)]
    return float(OUTLINES[name](*point).item())


def test_distances_are_known() -> None:
    assert distance("disc", 6, 8) == 0
    assert distance("disc", 0, 0) == -10
    assert distance("ring", 0, 0) == 5
    assert distance("square", 9, 0) == 1
    assert distance("triangle", 0, -6) == 0
    assert distance("triangle", 0, 12) == 0
    assert distance("star", 11, 0) == pytest.approx(0, abs=1e-5)
    assert distance("cross", 9, 9) == pytest.approx(5.8)
    assert distance("stripes", 20, 3) == -2.5
    assert distance("checks", 3.5, 3.5) == 0
    assert distance("dots", 30, -25) == 2


@given(
    st.floats(-15, 15), st.floats(-15, 15), st.sampled_from([("triangle", 3), ("star", 5), ("cross", 4), ("square", 4)])
)
def test_figures_are_symmetric(u: float, v: float, kind: tuple[str, int]) -> None:
    name, fold = kind
    angle = 2 * np.pi / fold
    turned = u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)
    assert distance(name, *turned) == pytest.approx(distance(name, u, v), abs=1e-4)


@pytest.mark.parametrize(("size", "channels"), [((32, 32), 3), ((5, 9), 1), ((1, 1), 3)])
def test_pictures_have_the_size_that_was_asked_for(size: tuple[int, int], channels: int) -> None:
    pictures = draw(np.arange(10), size, channels, np.random.default_rng(0))
    assert pictures.shape == (10, channels, *size)
    assert pictures.dtype == np.uint8


def test_one_channel_is_the_luma_of_three() -> None:
    colour, grey = (draw(np.arange(10), (16, 16), channels, np.random.default_rng(3)) for channels in (3, 1))
    luma = np.tensordot([0.299, 0.587, 0.114], colour, (0, 1))
    unclipped = ((colour > 0) & (colour < 255)).all(axis=1)
    np.testing.assert_allclose(grey[:, 0][unclipped], luma[unclipped], atol=1.01)


def test_the_pictures_follow_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "NUM_TRAIN", 40)
    monkeypatch.setattr(shapes, "NUM_TEST", 20)
    drawn = []
    for seed in (0, 0, 1):
        pictures, _ = followed(shapes10((12, 12), 3, seed).pictures(StopToken()))
        drawn.append((np.concatenate(list(pictures.chunks)), pictures))
        assert np.bincount(pictures.train_labels).tolist() == [4] * 10
        assert np.bincount(pictures.test_labels).tolist() == [2] * 10
    assert np.array_equal(drawn[0][0], drawn[1][0])
    assert np.array_equal(drawn[0][1].train_labels, drawn[1][1].train_labels)
    assert not np.array_equal(drawn[0][0], drawn[2][0])
    assert shapes10((12, 12), 3, 0).version != shapes10((12, 12), 3, 1).version


def test_it_is_named_as_synthetic() -> None:
    assert shapes10((32, 32), 3, 0).name == "Shapes-10 (synthetic)"


def test_no_pixel_tells_the_class() -> None:
    """The nearest class mean, which sees brightness and place alone, finds few."""
    labels = np.arange(2000) % 10
    x = draw(labels, (16, 16), 3, np.random.default_rng(0)).reshape(2000, -1).astype(np.float64)
    means = np.stack([x[:1000][labels[:1000] == label].mean(0) for label in range(10)])
    nearest = ((x[1000:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels[1000:]).mean() < 0.25
