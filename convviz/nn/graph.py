"""How the layers of a module hang together for one input shape, and what a unit sees through them.

The module runs once on torch's meta device, which knows shapes and no numbers. Every operation that reads what comes
from the picture becomes a node, with an edge to each node it reads. Unlike torch.fx this follows whatever Python the
module is made of.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convviz.core.layers import AvgPool2d, Layer, MaxPool2d, Shape, cached_axis
from convviz.core.receptive_field import Region, seen_through
from convviz.core.refusal import RefusalError
from convviz.core.window import Axis
from convviz.nn.build import layer_of

Cells: TypeAlias = tuple[int, int]
"""Which dimensions of a tensor are rows and columns of the picture."""

MAPS: Cells = (2, 3)


class Edge(NamedTuple):
    """How a node reads another: through a window on each axis; None where each cell depends on the whole axis."""

    source: int
    rows: Axis | None
    cols: Axis | None


class Node(NamedTuple):
    """What an operation yields; `cells` is None where there are no rows and columns, or they are not known."""

    shape: Shape
    cells: Cells | None
    edges: tuple[Edge, ...]


class Call(NamedTuple):
    """One use of a leaf module: which use it is, counted from 0, and the nodes it reads and makes."""

    path: str
    use: int
    source: int
    node: int


@dataclass(frozen=True, eq=False)
class Graph:
    """The operations of a module, in the order in which they run; node 0 is the picture, the last one the output."""

    nodes: tuple[Node, ...]
    calls: tuple[Call, ...]

    def regions(self, node: int, position: tuple[int, int]) -> dict[int, Region]:
        """Return what cell (i, j) of a node sees of every node that it depends on, itself included.

        Where ways part, the region holds what is seen by any of them. A node without rows and columns is one cell.
        """
        found = {node: _cell(position)}
        for index in range(node, -1, -1):
            if index in found:
                for source, rows, cols in self.nodes[index].edges:
                    height, width = self._size(source)
                    seen = found[index]
                    row_ranges = _seen(rows, height, seen.rows, seen.real_rows)
                    col_ranges = _seen(cols, width, seen.cols, seen.real_cols)
                    region = Region(row_ranges[0], col_ranges[0], row_ranges[1], col_ranges[1])
                    found[source] = _union(found[source], region) if source in found else region
        return found

    def _size(self, node: int) -> tuple[int, int]:
        shape, cells, _ = self.nodes[node]
        return (1, 1) if cells is None else (shape[cells[0]], shape[cells[1]])


def _cell(position: tuple[int, int]) -> Region:
    rows, cols = (range(at, at + 1) for at in position)
    return Region(rows, cols, rows, cols)


def _seen(axis: Axis | None, size: int, cells: range, real_cells: range) -> tuple[range, range]:
    if axis is not None:
        return seen_through(axis, cells, real_cells)
    return range(size), range(size) if real_cells else real_cells


def _union(one: Region, other: Region) -> Region:
    # A unit that sees padding only, on one axis, sees no real cell at all.
    regions = [region for region in (one, other) if region.real_rows and region.real_cols] or [one]
    return Region(
        _hull(one.rows, other.rows),
        _hull(one.cols, other.cols),
        _hull(*(region.real_rows for region in regions)),
        _hull(*(region.real_cols for region in regions)),
    )


def _hull(*ranges: range) -> range:
    return range(min(each.start for each in ranges), max(each.stop for each in ranges))


def graph_of(module: nn.Module, input_shape: Shape) -> Graph:
    """Return the graph of a module in evaluation mode for inputs (C, H, W). The module itself is not run.

    Raises:
        RefusalError: it does not take such an input.

    """
    twin = _on_meta(module)
    recorder = _Recorder(twin)
    x = torch.empty(1, *input_shape, device="meta")
    recorder.add(x, MAPS, ())
    try:
        with torch.no_grad(), recorder:
            output = twin(x)
    except Exception as error:  # whatever torch and the module's own code raise at shapes they cannot use
        raise RefusalError(
            "The network does not take pictures of {size}.", size="×".join(map(str, input_shape))
        ) from error
    if not isinstance(output, torch.Tensor) or recorder.node_of(output) is None:
        raise RefusalError("The network yields more than one result, or none that depends on the picture.")
    return Graph(tuple(recorder.nodes), tuple(recorder.calls))


def _on_meta(module: nn.Module) -> nn.Module:
    """Return a copy of the module, without copying its numbers: there are none on the meta device."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(module, memo)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Notes every operation while it is entered; modules with a reading of their own count as one operation."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.nodes: list[Node] = []
        self.calls: list[Call] = []
        self._tensors: list[torch.Tensor] = []  # kept alive, so that no other gets one's id
        self._index: dict[int, int] = {}
        self._depth = 0
        self._uses: Counter[str] = Counter()
        for path, part in module.named_modules():
            if next(part.children(), None) is None:
                self._watch(path, part)

    def add(self, tensor: torch.Tensor, cells: Cells | None, edges: tuple[Edge, ...]) -> None:
        self._tensors.append(tensor)
        self._index[id(tensor)] = len(self.nodes)
        self.nodes.append(Node(tuple(tensor.shape), cells, edges))

    def node_of(self, value: object) -> int | None:
        return self._index.get(id(value)) if isinstance(value, torch.Tensor) else None

    def _watch(self, path: str, part: nn.Module) -> None:
        """Note every call of a leaf module."""
        is_one = type(part) in _AS_ONE

        def before(_module: nn.Module, _args: tuple[Any, ...]) -> None:
            self._depth += is_one

        def after(_module: nn.Module, args: tuple[Any, ...], output: object) -> None:
            self._depth -= is_one
            source = self.node_of(args[0]) if args else None
            use = self._uses[path]
            self._uses[path] += 1
            if source is None or not isinstance(output, torch.Tensor):
                return
            if is_one:
                reading = _module_reading(part, self.nodes[source])
                self.add(output, reading.cells, (Edge(source, reading.rows, reading.cols),))
            made = self.node_of(output)
            if made is not None:
                self.calls.append(Call(path, use, source, made))

        part.register_forward_pre_hook(before)
        part.register_forward_hook(after)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        sources = [] if self._depth else [self.node_of(value) for value in tree_leaves((args, kwargs))]
        result = func(*args, **(kwargs or {}))
        known = list(dict.fromkeys(source for source in sources if source is not None))
        if known:
            for output in tree_leaves(result):
                if isinstance(output, torch.Tensor):
                    self._add_operation(func, args, known, output)
        return result

    def _add_operation(self, func: Any, args: tuple[Any, ...], sources: list[int], output: torch.Tensor) -> None:
        shape = tuple(output.shape)
        readings = [_reading(func, args, self.nodes[source], shape) for source in sources]
        if len({reading.cells for reading in readings}) > 1:
            readings = [_UNKNOWN for _ in readings]
        edges = (Edge(source, each.rows, each.cols) for source, each in zip(sources, readings, strict=True))
        self.add(output, readings[0].cells, tuple(edges))


class _Reading(NamedTuple):
    """Where rows and columns lie in an operation's output, and its window on each axis: see `Node` and `Edge`."""

    cells: Cells | None
    rows: Axis | None = None
    cols: Axis | None = None


_UNKNOWN = _Reading(None)

_AS_ONE = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)

_aten = torch.ops.aten
_CELL_BY_CELL = {
    *(_aten.clone, _aten.detach, _aten.alias, _aten._to_copy, _aten.expand),
    *(_aten.hardswish, _aten.hardswish_, _aten._prelu_kernel),
}
"""Operations that torch does not mark as pointwise."""
_RESHAPING = {_aten.view, _aten._unsafe_view, _aten.unsqueeze, _aten.squeeze}
_DIMENSION = {_aten.slice: 1, _aten.select: 1, _aten.unbind: 1, _aten.split: 2, _aten.split_with_sizes: 2, _aten.cat: 1}
"""Operations along one dimension, and where it is among their arguments; if it is not given, it is 0."""
_DROPPING = {_aten.select, _aten.unbind}
"""Those whose output lacks the dimension."""
_SUMMARIES = {_aten.mean, _aten.sum, _aten.amax, _aten.amin}
_POOLINGS: dict[Any, tuple[type[MaxPool2d | AvgPool2d], tuple[str, ...]]] = {
    _aten.max_pool2d_with_indices: (MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    _aten.avg_pool2d: (AvgPool2d, ("kernel_size", "stride", "padding", "ceil_mode")),
}


def layer_on(module: nn.Module, input_shape: Shape) -> Layer | None:
    """Return the layer, without numbers, that does to inputs of this shape what a module does; None if there is none.

    Adaptive average pooling whose windows are all alike is the average pooling with these windows.
    """
    layer = layer_of(module)
    if layer is None and isinstance(module, nn.AdaptiveAvgPool2d) and len(input_shape) == 3:
        wanted = module.output_size
        pair = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        sizes = [(size, out or size) for size, out in zip(input_shape[1:], pair, strict=True)]
        if all(size % out == 0 for size, out in sizes):
            return AvgPool2d([size // out for size, out in sizes])
    return layer


def _module_reading(module: nn.Module, source: Node) -> _Reading:
    """Return how a module of `_AS_ONE` reads its source."""
    rank = len(source.shape)
    match module:
        case nn.Linear():
            return _along(source, [rank - 1])
        case nn.LayerNorm():
            return _along(source, range(rank - len(module.normalized_shape), rank))
        case nn.BatchNorm2d():
            return _cell_by_cell(source, source.cells)
        case nn.GroupNorm():
            return _Reading(source.cells)
    layer = layer_on(module, source.shape[1:])
    return _Reading(MAPS) if layer is None or source.cells != MAPS else _Reading(MAPS, *layer.axes(source.shape[1:]))


def _reading(func: Any, args: tuple[Any, ...], source: Node, output_shape: Shape) -> _Reading:
    """Return how an operation of torch reads one of its sources."""
    operation, (shape, cells, _) = func.overloadpacket, source
    rank = len(shape)
    if cells is None:
        return _UNKNOWN
    if operation in _CELL_BY_CELL or torch.Tag.pointwise in func.tags:
        return _broadcast(source, cells, output_shape)
    if operation in _RESHAPING:
        return _cell_by_cell(source, _reshaped(shape, cells, output_shape))
    if operation in (_aten.permute, _aten.transpose):
        order = list(range(rank))
        if operation is _aten.permute:
            order = [dim % rank for dim in args[1]]
        else:
            order[args[1]], order[args[2]] = order[args[2]], order[args[1]]
        return _cell_by_cell(source, (order.index(cells[0]), order.index(cells[1])))
    if operation in _DIMENSION:
        dim = args[_DIMENSION[operation]] if len(args) > _DIMENSION[operation] else 0
        return _along(source, [dim % rank], kept=operation not in _DROPPING)
    if operation is _aten.native_layer_norm:
        return _along(source, range(rank - len(args[1]), rank))
    if operation in _SUMMARIES and len(args) > 1:
        dims = args[1] if isinstance(args[1], Iterable) else [args[1]]
        return _along(source, [dim % rank for dim in dims], kept=len(args) > 2 and args[2])
    if operation in _POOLINGS and cells == MAPS:
        kind, names = _POOLINGS[operation]
        settings = dict(zip(names, args[1:], strict=False))
        layer = kind(**{**settings, "stride": settings.get("stride") or None})
        return _Reading(MAPS, *layer.axes(shape[1:]))
    return _UNKNOWN


def _cell_by_cell(source: Node, cells: Cells | None) -> _Reading:
    """Return the reading of an operation on each cell, whose output has its rows and columns at `cells`."""
    if source.cells is None or cells is None:
        return _UNKNOWN
    rows, cols = (cached_axis(source.shape[dim], 1) for dim in source.cells)
    return _Reading(cells, rows, cols)


def _broadcast(source: Node, cells: Cells, output_shape: Shape) -> _Reading:
    """Return the same where torch broadcasts: dimensions count from the end, and one row or column is repeated."""
    longer = len(output_shape) - len(source.shape)
    row, col = cells[0] + longer, cells[1] + longer
    reading = _cell_by_cell(source, (row, col))
    return reading._replace(
        rows=reading.rows if output_shape[row] == source.shape[cells[0]] else None,
        cols=reading.cols if output_shape[col] == source.shape[cells[1]] else None,
    )


def _along(source: Node, dims: Iterable[int], kept: bool = True) -> _Reading:
    """Return the reading of an operation that mixes along some dimensions, which its output keeps or not."""
    cells, gone = source.cells, [] if kept else list(dims)
    if cells is None:
        return _UNKNOWN
    if set(cells) & set(dims):
        return _Reading(cells if kept else None)
    return _cell_by_cell(
        source, (cells[0] - sum(dim < cells[0] for dim in gone), cells[1] - sum(dim < cells[1] for dim in gone))
    )


def _reshaped(shape: Shape, cells: Cells, output_shape: Shape) -> Cells | None:
    """Return where rows and columns lie after the same numbers are read in another shape; None if they are lost."""
    row, col = cells
    if col == row + 1:
        ahead = math.prod(shape[:row])
        for dim in range(len(output_shape) - 1):
            if math.prod(output_shape[:dim]) == ahead and output_shape[dim : dim + 2] == shape[row : col + 1]:
                return dim, dim + 1
    return None
