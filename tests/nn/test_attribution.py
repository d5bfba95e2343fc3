from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.control import StoppedError, StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.layers import Conv2d, Drawn, GlobalAvgPool2d, Layer
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.nn.attribution import COVERING, Maximised, grad_cam, maximised, occlusion
from convviz.nn.build import build
from convviz.nn.look import look, preprocessed
from convviz.nn.network import Network, network_of, to_unit_range
from convviz.nn.probe import Floats
from convviz.nn.source import DataProgress
from tests.nn.inspect_cases import Branches, branched_network, tiny_network, untouched
from tests.nn.network_cases import picture
from tests.nn.steps import followed, result_of


def network_with(shape: tuple[int, int, int], *layers: Layer) -> Network:
    return network_of("known", "preset", build(Stack(shape, layers)), to_unit_range(shape))


def linear_network(weight: Floats) -> Network:
    """Class 0 scores 0, class 1 the sum of the weights (C, H, W) times the picture."""
    both = np.stack([np.zeros(weight.size), weight.ravel()])
    return network_with(weight.shape, Flatten(), Linear(weight.size, 2, weight=both))


def noise(shape: tuple[int, ...], seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


# ---- Grad-CAM


def averaging_network() -> Network:
    """Two maps, the picture's channel times 1 and times −2; their means times 4 and 8 are the score of class 1."""
    conv = Conv2d(1, 2, 1, weight=np.array([1.0, -2.0]).reshape(2, 1, 1, 1))
    dense = Linear(2, 2, weight=np.array([[0.0, 0.0], [4.0, 8.0]]))
    return network_with((1, 2, 2), conv, GlobalAvgPool2d(), Flatten(), dense)


def test_maps_are_weighted_with_their_mean_gradient() -> None:
    x = np.array([[[1, -1], [0, 3]]], np.float32)
    # The gradients on the four cells are 4/4 and 8/4; 1 · x + 2 · (−2x) = −3x.
    np.testing.assert_allclose(grad_cam(averaging_network(), x, 1, "0"), [[0, 3], [0, 0]])
    np.testing.assert_array_equal(grad_cam(averaging_network(), x, 0, "0"), np.zeros((2, 2)))
    # One cell each behind the pooling: 4 · 0.75 + 8 · (−1.5) is negative.
    np.testing.assert_array_equal(grad_cam(averaging_network(), -x, 1, "1"), [[9]])
    np.testing.assert_array_equal(grad_cam(averaging_network(), x, 1, "1"), [[0]])


@pytest.mark.parametrize("class_index", range(3))
@pytest.mark.parametrize("name", ["conv", "relu", "other", "relu_1"])
def test_grad_cam_against_autograd(name: str, class_index: int) -> None:
    network = branched_network()
    module = cast(Branches, network.module)
    x = noise((3, 8, 8), class_index)

    conv = module.conv(torch.tensor(x)[None])
    relu = conv.relu()
    other = module.other(relu)
    relu_1 = (other + relu[:, :, 1:-1, 1:-1]).relu()

    def scores(maps: torch.Tensor) -> torch.Tensor:
        """The scores, from the maps of the layer on."""
        match name:
            case "conv":
                return module.scores(module.other(maps.relu()) + maps.relu()[:, :, 1:-1, 1:-1])
            case "relu":
                return module.scores(module.other(maps) + maps[:, :, 1:-1, 1:-1])
            case "other":
                return module.scores(maps + relu[:, :, 1:-1, 1:-1])
        return cast(torch.Tensor, module.fc(maps.mean(dim=(2, 3))))

    at = {"conv": conv, "relu": relu, "other": other, "relu_1": relu_1}
    maps = at[name].detach().requires_grad_()
    (gradient,) = torch.autograd.grad(scores(maps)[0, class_index], maps)
    expected = torch.einsum("nc,nchw->hw", gradient.mean(dim=(2, 3)), maps.detach()).relu()
    assert expected.any()
    np.testing.assert_allclose(grad_cam(network, x, class_index, name), expected, rtol=1e-4, atol=1e-6)


def test_a_layer_that_the_class_does_not_depend_on_speaks_for_nothing() -> None:
    np.testing.assert_array_equal(grad_cam(branched_network(), noise((3, 8, 8)), 0, "side"), np.zeros((8, 8)))


def test_grad_cam_leaves_the_network_as_it_was() -> None:
    network = branched_network()
    with untouched(network), torch.inference_mode(False), torch.no_grad():
        grad_cam(network, noise((3, 8, 8)), 0, "relu")


def test_what_grad_cam_does_not_take() -> None:
    network, x = tiny_network(), noise((3, 8, 8))
    with pytest.raises(KeyError):
        grad_cam(network, x, 0, "9")
    for class_index in (-1, 3):
        with pytest.raises(IndexError, match=f"There is no class {class_index} among 3"):
            grad_cam(network, x, class_index, "0")
    with pytest.raises(RefusalError, match="4 yields a vector"):
        grad_cam(network, x, 0, "4")
    with pytest.raises(RefusalError, match="ends in maps"):
        grad_cam(network_with((3, 8, 8), Conv2d(3, 2, 3, weight=Drawn(0))), x, 0, "0")


# ---- occlusion


def test_single_cells_of_a_linear_network() -> None:
    weight = np.array([[[1, -2], [0, 0.5]]], np.float32)
    x = np.array([[[1, 0.5], [3, -2]]], np.float32)
    products = weight[0] * x[0]  # covering a cell takes away its product: the score is then −1 less it
    expected = [[sigmoid(-1) - sigmoid(-1 - value) for value in row] for row in products]
    np.testing.assert_allclose(result_of(occlusion(linear_network(weight), x, 1, 1, 1)), expected, atol=1e-6)
    np.testing.assert_allclose(result_of(occlusion(linear_network(weight), x, 0, 1, 1)), -np.array(expected), atol=1e-6)


def test_where_covers_overlap_their_drops_are_averaged() -> None:
    x = np.array([[[1, 2, 4], [0, 0, 0]]], np.float32)
    heat = result_of(occlusion(linear_network(np.ones((1, 2, 3), np.float32)), x, 1, 2, 1))
    left, right = sigmoid(7) - sigmoid(4), sigmoid(7) - sigmoid(1)
    np.testing.assert_allclose(heat, [[left, (left + right) / 2, right]] * 2, atol=1e-6)


def test_the_last_covers_reach_the_edge() -> None:
    x = np.array([[[0.1, 0.2, 0.3, 0.4, 0.5]] * 2], np.float32)
    heat = result_of(occlusion(linear_network(np.ones((1, 2, 5), np.float32)), x, 1, 2, 2))
    bare = sigmoid(x.sum())
    drops = [bare - sigmoid(x.sum() - x[..., start : start + 2].sum()) for start in (0, 2, 3)]
    expected = [drops[0], drops[0], drops[1], (drops[1] + drops[2]) / 2, drops[2]]
    np.testing.assert_allclose(heat, [expected] * 2, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.data())
def test_occlusion_cover_by_cover(side: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, side))
    network, x = branched_network(), noise((3, 8, 8), side)
    starts = sorted({*range(0, 8 - side, stride), 8 - side})
    drops: list[list[list[float]]] = [[[] for _ in range(8)] for _ in range(8)]
    bare = look(network, x, "fc").probabilities[2]
    for top in starts:
        for left in starts:
            covered = x.copy()
            covered[:, top : top + side, left : left + side] = 0
            drop = bare - look(network, covered, "fc").probabilities[2]
            for i in range(top, top + side):
                for j in range(left, left + side):
                    drops[i][j].append(drop)
    expected = [[np.mean(cell) for cell in row] for row in drops]
    heat = result_of(occlusion(network, x, 2, side, stride))
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat, expected, atol=1e-6)


def test_more_covers_than_are_computed_at_a_time_and_stopping() -> None:
    weight = np.zeros((1, 64, 64), np.float32)
    weight[0, -1, -1] = 1
    x = np.ones((1, 64, 64), np.float32)
    heat, progress = followed(occlusion(linear_network(weight), x, 1, 8, 8))
    assert progress == [DataProgress(begin, 64, COVERING) for begin in range(0, 64, 6)]
    expected = np.zeros((64, 64))
    expected[-8:, -8:] = sigmoid(1) - sigmoid(0)
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    token = StopToken()
    steps = occlusion(linear_network(weight), x, 1, 8, 8, token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)


def test_occlusion_leaves_the_network_and_the_picture_as_they_were() -> None:
    network, x = branched_network(), noise((3, 8, 8))
    before = x.copy()
    with untouched(network):
        result_of(occlusion(network, x, 0, 3, 2))
    np.testing.assert_array_equal(x, before)


def test_what_occlusion_does_not_take() -> None:
    network, x = tiny_network(), noise((3, 8, 8))
    for side in (0, 9):
        with pytest.raises(RefusalError, match=f"{side} wide; it is 1 to 8"):
            result_of(occlusion(network, x, 0, side, 1))
    for stride in (0, 4):
        with pytest.raises(RefusalError, match=f"by {stride}; it is 1 to 3"):
            result_of(occlusion(network, x, 0, 3, stride))
    with pytest.raises(IndexError, match="There is no class 3 among 3"):
        result_of(occlusion(network, x, 3, 3, 3))
    with pytest.raises(RefusalError, match="ends in maps"):
        result_of(occlusion(network_with((3, 8, 8), Conv2d(3, 2, 3, weight=Drawn(0))), x, 0, 3, 3))


# ---- activation maximisation


def colour_network(red: float, green: float) -> Network:
    """Channel 1 is so much red and so much green, cell by cell."""
    weight = np.array([[0.0, 0, 0], [red, green, 0]]).reshape(2, 3, 1, 1)
    return network_with((3, 16, 16), Conv2d(3, 2, 1, weight=weight))


def pictures_of(network: Network, layer: str, channel: int, seed: int = 0) -> list[Maximised]:
    return list(maximised(network, layer, channel, seed))


def test_a_channel_that_likes_red_and_dislikes_green() -> None:
    *_, last = pictures_of(colour_network(2, -3), "0", 1)
    red, green, blue = last.picture
    assert (red > 250).all()
    assert (green < 5).all()
    assert (abs(blue.astype(int) - 128) <= 1).all()
    assert last.picture.dtype == np.uint8
    assert 4.9 < last.value <= 5


def test_pictures_excite_the_channel_more_and_more() -> None:
    network = tiny_network()
    seen = pictures_of(network, "1", 2)
    assert [(each.done, each.total) for each in seen] == [(done, 128) for done in range(0, 129, 8)]
    assert seen[0].value < seen[2].value < seen[-1].value
    for each in seen:
        x = preprocessed(each.picture, network.preprocessing)
        assert each.value == pytest.approx(look(network, x, "1").maps[2].mean(), rel=1e-4, abs=1e-6)
    drawn = [look(network, preprocessed(picture((3, 8, 8), seed), network.preprocessing), "1") for seed in range(20)]
    assert seen[-1].value > max(each.maps[2].mean() for each in drawn)


def test_a_class_can_be_maximised_too() -> None:
    network = branched_network()
    *_, last = pictures_of(network, "fc", 1)
    assert look(network, preprocessed(last.picture, network.preprocessing), "fc").probabilities.argmax() == 1


def test_the_same_seed_gives_the_same_picture_and_leaves_all_as_it_was() -> None:
    network = branched_network()
    with untouched(network):
        one, same, other = (pictures_of(network, "other", 0, seed)[-1].picture for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_single_cell_is_looked_for_wherever_a_shift_moves_it() -> None:
    weight = np.zeros((1, 16, 16), np.float32)
    weight[0, 8, 4] = 1
    *_, last = pictures_of(linear_network(weight), "1", 1)
    is_near = np.zeros((16, 16), bool)
    is_near[7:10, 3:6] = True  # shifts are up to one sixteenth
    assert (last.picture[0][is_near] > 140).all()
    assert (abs(last.picture[0][~is_near].astype(int) - 128) <= 1).all()


def test_a_dead_channel_leaves_the_mean_colour() -> None:
    *_, last = pictures_of(colour_network(2, -3), "0", 0)
    assert last.value == 0
    assert (abs(last.picture.astype(int) - 128) <= 1).all()


def test_stopping_keeps_the_picture_so_far() -> None:
    token = StopToken()
    steps = maximised(tiny_network(), "0", 0, 0, token)
    next(steps)
    second = next(steps)
    token.request_stop()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.done == 9
    assert end.value.value.value > second.value


def test_what_cannot_be_maximised() -> None:
    with pytest.raises(KeyError):
        next(maximised(tiny_network(), "9", 0, 0))
    for channel in (-1, 4):
        with pytest.raises(IndexError, match=f"There is no channel {channel} among 4"):
            next(maximised(tiny_network(), "0", channel, 0))
    with pytest.raises(RefusalError, match="not finite"):
        list(maximised(colour_network(math.nan, 0), "0", 1, 0))
