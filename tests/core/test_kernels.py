import itertools

import numpy as np
import pytest

from convviz.core.kernels import KERNELS, kernel_fits, make_kernel, recognise

CLASSICS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "box": [[1 / 9] * 3] * 3,
    "gaussian": [[1 / 16, 1 / 8, 1 / 16], [1 / 8, 1 / 4, 1 / 8], [1 / 16, 1 / 8, 1 / 16]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "prewitt_x": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
    "prewitt_y": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
}
SUM_ONE = {"identity", "box", "gaussian", "sharpen", "emboss"}
SUM_ZERO = {"outline", "sobel_x", "sobel_y", "prewitt_x", "prewitt_y", "laplacian"}
SIZES = list(itertools.product([1, 2, 3, 4, 5, 14, 15], repeat=2))


@pytest.mark.parametrize("kind", CLASSICS)
def test_three_by_three_is_the_classic(kind: str) -> None:
    assert make_kernel(kind, (3, 3)).tolist() == CLASSICS[kind]


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_keeps_the_character_of_the_kernel(kind: str, size: tuple[int, int]) -> None:
    kernel = make_kernel(kind, size)
    assert kernel.shape == size
    assert kernel.dtype == np.float64
    if kind in SUM_ONE:
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
    if kind in SUM_ZERO:
        assert kernel.sum() == 0
        assert kernel_fits(kind, size) == bool(kernel.any())


def test_larger_sobel_is_binomial_smoothing_times_a_smoothed_difference() -> None:
    expected = np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1])
    assert np.array_equal(make_kernel("sobel_x", (5, 5)), expected)
    assert np.array_equal(make_kernel("sobel_y", (5, 5)), expected.T)
    assert make_kernel("sobel_x", (1, 2)).tolist() == [[-1, 1]]


@pytest.mark.parametrize("kind", ["sharpen", "emboss"])
def test_a_single_cell_leaves_the_identity(kind: str) -> None:
    assert not kernel_fits(kind, (1, 1))
    assert make_kernel(kind, (1, 1)).tolist() == [[1]]


def test_identity_leaves_a_picture_alone_with_torchs_same_padding_at_even_sizes() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(20, dtype=torch.float64).reshape(1, 1, 4, 5)
    for size in [(2, 2), (4, 3), (3, 3)]:
        kernel = torch.from_numpy(make_kernel("identity", size))[None, None]
        padding = [side for k in reversed(size) for side in ((k - 1) // 2, k // 2)]
        y = torch.nn.functional.conv2d(torch.nn.functional.pad(x, padding), kernel)
        assert torch.equal(x, y)


def test_random_follows_the_seed() -> None:
    assert np.array_equal(make_kernel("random", (5, 5), 1), make_kernel("random", (5, 5), 1))
    assert not np.array_equal(make_kernel("random", (5, 5), 1), make_kernel("random", (5, 5), 2))
    assert set(make_kernel("random", (15, 15)).flat) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("kind", CLASSICS)
@pytest.mark.parametrize("size", [(3, 3), (4, 5), (15, 15)])
def test_recognise_finds_every_kernel_until_a_cell_changes(kind: str, size: tuple[int, int]) -> None:
    kernel = make_kernel(kind, size)
    assert recognise(kernel) == kind
    kernel[0, 0] += 0.25
    assert recognise(kernel) is None


def test_recognise_takes_the_first_of_equals_and_no_kernel_that_does_not_fit() -> None:
    assert recognise(np.ones((1, 1))) == "identity"
    assert recognise(np.array([[-1.0, 0.0, 1.0]])) == "sobel_x"
    assert recognise(np.zeros((1, 3))) is None
    assert recognise(make_kernel("random", (3, 3), 4)) is None
