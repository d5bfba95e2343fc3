"""The strongest patches of a layer: what, in a whole data set, excites each of its channels most."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from convviz.core.control import StopToken, go_on
from convviz.core.receptive_field import Region
from convviz.nn.cache import default_cache
from convviz.nn.checkpoint import write_atomically
from convviz.nn.data import Dataset, Split
from convviz.nn.look import preprocessed, regions
from convviz.nn.network import Network
from convviz.nn.source import DataProgress, Labels, Steps
from convviz.nn.threads import use_threads

SEARCHING: Final = "Looking for the strongest patches"

COUNT: Final = 9

_VERSION: Final = 1
_BATCH_CELLS: Final = 25 * 32 * 32

_FOUND: Final = np.dtype([("value", np.float32), ("sample", np.int64), ("row", np.int64), ("col", np.int64)])
_Found: TypeAlias = npt.NDArray[np.void]
"""Of each channel the strongest units, (C, count) of `_FOUND`."""


@dataclass(frozen=True)
class Patch:
    """Where a picture excites a channel most.

    Attributes:
        value: of the channel's strongest unit.
        sample_index: the picture, in its split.
        label: its class.
        position: the unit in the channel's map, (i, j); (0, 0) in a vector.
        region: what the unit sees of the picture as the network reads it: scaled and cut.
    """

    value: float
    sample_index: int
    label: int
    position: tuple[int, int]
    region: Region


Patches: TypeAlias = tuple[tuple[Patch, ...], ...]
"""Of each channel, the strongest first; each from another picture."""


def strongest_patches(
    network: Network, layer_name: str, split: Split, count: int = COUNT, token: StopToken | None = None
) -> Steps[Patches]:
    """Yield how far the search is and return the `count` strongest patches of each channel of a layer.

    Each picture gives at most one patch a channel, that of its strongest unit. Of equals the first picture and the
    first unit come first. A NaN is never strongest: a map that is NaN or −inf throughout gives no patch.

    Raises:
        KeyError: there is no such layer.
        StoppedError: `token` asked for it.

    """
    found = yield from _search(network, layer_name, split, count, token or StopToken())
    return _patches(network, layer_name, split.labels, found)


def stored_patches(
    network: Network,
    layer_name: str,
    dataset: Dataset,
    count: int = COUNT,
    folder: Path | None = None,
    token: StopToken | None = None,
) -> Steps[Patches]:
    """Return the same for the test pictures of a data set, at once where the search was made before.

    What is found is kept in `folder`, by default a folder beside `default_cache()`, under a name that stands for the
    network with its weights, the layer and the pictures. A damaged file is made anew; a folder that cannot be written
    is no error.

    Raises:
        KeyError: there is no such layer.
        StoppedError: `token` asked for it.

    """
    channels = network.graph.nodes[network.calls[layer_name].node].shape[1]
    path = (folder or default_cache().with_name("patches")) / f"{_key(network, layer_name, dataset, count)}.npz"
    found = _read(path, (channels, min(count, len(dataset.test))), len(dataset.test))
    if found is None:
        found = yield from _search(network, layer_name, dataset.test, count, token or StopToken())
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: np.savez(file, found=found))
    return _patches(network, layer_name, dataset.test.labels, found)


def layer_output(network: Network, layer_name: str, x: torch.Tensor) -> torch.Tensor:
    """Return what a layer makes of `x` (N, C, H, W). The layers behind it do not run. Raises KeyError."""
    seen: list[torch.Tensor] = []

    def see(_before: torch.Tensor, output: torch.Tensor) -> None:
        seen.append(output)
        raise _SeenError

    with network.hook(layer_name, see), contextlib.suppress(_SeenError):
        network.module(x)
    return seen[0]


class _SeenError(Exception):
    """Ends a forward pass."""


def batch_size(network: Network) -> int:
    """Return how many pictures to compute at a time: so few that their maps stay in the processor's cache."""
    _, height, width = network.input_shape
    return max(4, _BATCH_CELLS // (height * width))


def share_out(network: Network, num_pictures: int) -> None:
    """Let the calling thread compute so many pictures at a time with `num_threads`."""
    work = 0
    for layer in network.layers:
        weight = getattr(network.module.get_submodule(network.calls[layer.name].path), "weight", None)
        if weight is not None:
            work += weight.numel() * math.prod(layer.shape[1:])
    use_threads(num_pictures * work)


def _search(network: Network, layer_name: str, split: Split, count: int, token: StopToken) -> Steps[_Found]:
    size = batch_size(network)
    share_out(network, size)
    best: _Found | None = None
    for begin in range(0, len(split), size):
        go_on(token)
        yield DataProgress(begin, len(split), SEARCHING)
        pictures = split.images[begin : begin + size]
        x = np.stack([preprocessed(picture, network.preprocessing) for picture in pictures])
        with torch.inference_mode():
            found = _strongest_units(layer_output(network, layer_name, torch.from_numpy(x)))
        found["sample"] += begin
        both = found if best is None else np.concatenate((best, found), axis=1)
        order = np.argsort(-both["value"], axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(both, order, axis=1)
    assert best is not None  # a split has pictures
    return best


def _strongest_units(maps: torch.Tensor) -> _Found:
    """Return the strongest unit of each channel of each picture, (C, N)."""
    width = maps.shape[3] if maps.dim() == 4 else 1
    units = maps.reshape(*maps.shape[:2], -1)
    values, at = units.max(dim=2)
    if values.isnan().any():
        values, at = torch.where(units.isnan(), -torch.inf, units).max(dim=2)
    found = np.empty((maps.shape[1], maps.shape[0]), _FOUND)
    found["value"] = values.T.numpy()
    found["sample"] = np.arange(maps.shape[0])
    found["row"], found["col"] = np.divmod(at.T.numpy(), width)
    return found


def _patches(network: Network, layer_name: str, labels: Labels, found: _Found) -> Patches:
    @cache
    def region(row: int, col: int) -> Region:
        return regions(network, layer_name, (0, row, col))[0][1]

    return tuple(
        tuple(
            Patch(value, sample, int(labels[sample]), (row, col), region(row, col))
            for value, sample, row, col in channel.tolist()
            if value != -np.inf
        )
        for channel in found
    )


def _key(network: Network, layer_name: str, dataset: Dataset, count: int) -> str:
    about = (_VERSION, network.name, network.module, network.preprocessing, layer_name, dataset.fingerprint, count)
    digest = sha256(repr(about).encode())
    for name, tensor in network.module.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int], num_pictures: int) -> _Found | None:
    """Return what was stored; None if there is nothing, or nothing that is in order."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            found: _Found = arrays["found"]
    except Exception:  # whatever is wrong with the file, it can be made anew
        return None
    in_order = found.dtype == _FOUND and found.shape == shape
    return found if in_order and ((found["sample"] >= 0) & (found["sample"] < num_pictures)).all() else None
