"""Where in what was loaded the network's weights are, and what the other tensors are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Final, Literal, NamedTuple

import torch

from convviz.nn.pickle_scan import TensorOutline

Kind = Literal["weight", "buffer", "optimizer", "other"]
Keys = tuple[str, ...]

NESTS: Final = (
    *("state_dict", "model_state_dict", "model_state", "net_state_dict", "network_state_dict"),
    *("model", "net", "network", "module", "weights", "params", "parameters"),
    *("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema", "params_ema"),
    *("generator_state_dict", "generator", "net_g", "netg", "g_ema"),
    *("discriminator_state_dict", "discriminator", "net_d", "netd"),
)
"""Under these names, whatever their case, checkpoints keep networks; see `find_weights`."""
PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and Lightning put before the names of all weights."""
MOST_NESTS: Final = 8
"""So deep weights are looked for."""
MOST_TEXT: Final = 1 << 25
"""Characters of all names together."""
MOST_AGAIN: Final = 1 << 18
"""Entries of parts that were looked through before, in another place."""

_PARAMETERS: Final = frozenset({"weight", "bias"})
_BUFFERS: Final = frozenset(
    {
        *("running_mean", "running_var", "num_batches_tracked", "position_ids", "relative_position_index"),
        *("scale", "zero_point", "eps", "min_val", "max_val", "fake_quant_enabled", "observer_enabled"),
        *("mean", "std", "pixel_mean", "pixel_std", "total_ops", "total_params"),
    }
)
_MEMORY: Final = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta"})
_OPTIMIZER: Final = re.compile(r"optimizer|(?:^|_)(?:opt|optims?)(?:_|$)", re.IGNORECASE)


_OPTIMIZER_PARTS: Final = {"state", "param_groups"}


class TooManyPartsError(Exception):
    """What was loaded holds the same parts so often, or under so long names, that they cannot all be named."""


class Found(NamedTuple):
    """A tensor in what was loaded.

    Attributes:
        name: the keys that lead to it, joined by dots.
        short: what its network calls it, without nests and prefixes; the name, if it is not of *the* network.
        kind: what it is.
        of_network: whether it is a weight or buffer of *the* network.
        tensor: itself, without gradients and attributes.
    """

    name: str
    short: str
    kind: Kind
    of_network: bool
    tensor: torch.Tensor


class _Place(NamedTuple):
    """Where a part of what was loaded is: under which key of which other part, and whether that is an optimizer's."""

    parent: _Place | None
    key: str
    in_optimizer: bool

    @property
    def keys(self) -> Keys:
        """The keys that lead here from the whole."""
        keys: list[str] = []
        place = self
        while place.parent is not None:
            keys.append(place.key)
            place = place.parent
        return tuple(reversed(keys))


def find_weights(loaded: object) -> list[Found]:
    """Return every tensor in what was loaded, in its order; an outline of one as a tensor on the meta device.

    *The* network is found thus, beginning with the whole, optimizers left out: a part with one of the names in `NESTS`
    is entered, of several the one that stands first there, unless more tensors lie beside these parts; so is a part
    that holds all tensors and has parts itself. Then prefixes are taken off the names as long as all have the same.

    What is shared is found in every place, but for a part within itself. No depth is too deep.

    Raises:
        TooManyPartsError: the names together are too long to be kept, or the same is shared too often.

    """
    tensors = list(_tensors(loaded))
    nest = _nest_of_network([keys for keys, in_optimizer, _ in tensors if not in_optimizer])
    found = [_found(keys, in_optimizer, tensor, nest) for keys, in_optimizer, tensor in tensors]
    start = len(_common_prefix([each.short for each in found if each.of_network]))
    return [each._replace(short=each.short[start:]) if start and each.of_network else each for each in found]


def _tensors(loaded: object) -> Iterator[tuple[Keys, bool, torch.Tensor]]:
    """Yield the keys that lead to each tensor, and whether an optimizer remembers it."""
    num_characters = num_again = 0
    entered = set[int]()
    whole: tuple[_Place, object] = (_Place(None, "", in_optimizer=False), loaded)
    way = [(0, iter([whole]))]
    on_the_way = set[int]()
    while way:
        entry = next(way[-1][1], None)
        if entry is None:
            on_the_way.discard(way.pop()[0])
            continue
        place, part = entry
        if isinstance(part, (torch.Tensor, TensorOutline)):
            keys = place.keys
            num_characters += sum(map(len, keys)) + len(keys)
            yield keys, place.in_optimizer, _tensor(part)
        elif isinstance(part, (dict, list, tuple)) and id(part) not in on_the_way:
            num_again += len(part) + 1 if id(part) in entered else 0
            entered.add(id(part))
            on_the_way.add(id(part))
            way.append((id(part), _entries(place, part)))
        if num_characters > MOST_TEXT or num_again > MOST_AGAIN:
            raise TooManyPartsError


def _tensor(part: torch.Tensor | TensorOutline) -> torch.Tensor:
    if isinstance(part, TensorOutline):
        return torch.empty(part.shape, dtype=getattr(torch, part.dtype), device="meta")
    return torch.Tensor.detach(part)  # not its own detach, which an attribute from the file may hide


def _entries(
    place: _Place, part: dict[object, object] | list[object] | tuple[object, ...]
) -> Iterator[tuple[_Place, object]]:
    items = part.items() if isinstance(part, dict) else enumerate(part)
    is_optimizer = bool(_OPTIMIZER.search(place.key)) or (isinstance(part, dict) and part.keys() >= _OPTIMIZER_PARTS)
    for index, (key, value) in enumerate(items):
        text = str(key) if isinstance(key, (str, int, float, bytes, NoneType)) else f"({index})"
        yield _Place(place, text, place.in_optimizer or is_optimizer), value


def _nest_of_network(paths: Sequence[Keys]) -> Keys:
    """Return the keys that lead to *the* network, of those that lead to all tensors."""
    nest: Keys = ()
    while len(nest) < MOST_NESTS:
        inside = [keys[len(nest) :] for keys in paths if keys[: len(nest)] == nest]
        parts = Counter(keys[0] for keys in inside if len(keys) > 1)
        named = {part.lower(): part for part in parts if part.lower() in NESTS}
        beside = len(inside) - sum(parts[part] for part in named.values())
        entered = next((named[name] for name in NESTS if name in named), None)
        if entered is None and len(parts) == 1 and all(len(keys) > 2 or "." in keys[-1] for keys in inside):
            (entered,) = parts
        elif entered is None or parts[entered] < beside:
            break
        nest = (*nest, entered)
    return nest


def _found(keys: Keys, in_optimizer: bool, tensor: torch.Tensor, nest: Keys) -> Found:
    name = ".".join(keys) if keys else "tensor"
    leaf = name.rpartition(".")[2]
    in_network = keys[: len(nest)] == nest
    kind: Kind
    if in_optimizer or leaf in _MEMORY:
        kind = "optimizer"
    elif leaf in _PARAMETERS or leaf in _BUFFERS or in_network or keys[0].lower() in NESTS:
        is_real = tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized
        kind = "weight" if leaf in _PARAMETERS or (is_real and leaf not in _BUFFERS) else "buffer"
    else:
        kind = "other"
    of_network = in_network and kind in ("weight", "buffer")
    short = ".".join(keys[len(nest) :]) if of_network and keys else name
    return Found(name, short, kind, of_network, tensor)


def _common_prefix(names: Sequence[str]) -> str:
    """Return the longest prefix that all names have and that is put together of `PREFIXES`."""
    prefix = ""
    while names:
        longer = next((p for p in PREFIXES if all(name.startswith(p, len(prefix)) for name in names)), None)
        if longer is None or any(len(name) == len(prefix) + len(longer) for name in names):
            break
        prefix += longer
    return prefix
