"""The kernels of a layer as filters: what they are called together, their order, their maps."""

from __future__ import annotations

import csv
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convviz.core import display

Order = Literal["index", "norm", "variance"]
Floats = NDArray[np.floating]


def as_filters(weight: Floats) -> Floats | None:
    """Return a convolution's weights as filters (O, I, kh, kw); None where they are no kernels.

    Kernels along one axis (O, I, k) get a height of 1; the slices of those in three (O, I, kd, kh, kw) count as input
    channels.
    """
    match weight.shape:
        case (o, i, k) if weight.size:
            return weight.reshape(o, i, 1, k)
        case (_, _, _, _) if weight.size:
            return weight
        case (o, i, d, h, w) if weight.size:
            return weight.reshape(o, i * d, h, w)
    return None


def filter_order(order: Order, norms: Floats, variances: Floats) -> NDArray[np.intp]:
    """Return the indices of filters (O,) in an order: by index, or the largest norm or variance first.

    What is no number comes first, as it asks for attention.
    """
    if order == "index":
        return np.arange(len(norms))
    values = norms if order == "norm" else variances
    return np.argsort(np.where(np.isnan(values), -np.inf, -values), kind="stable")


def filter_maps(filters_OIHW: Floats) -> tuple[Floats, int | None]:
    """Return filters as maps (N, H, W), and how many cells of each there are (None: all).

    Each channel of a filter is a map, N = O·I in that order. The numbers of a filter of 1×1 kernels are one map, in
    rows, which may end with blank cells.
    """
    o, i, height, width = filters_OIHW.shape
    if (height, width) != (1, 1):
        return filters_OIHW.reshape(o * i, height, width), None
    rows, cols = display.wrapped_shape(i)
    maps = np.zeros((o, rows * cols), filters_OIHW.dtype)
    maps[:, :i] = filters_OIHW.reshape(o, i)
    return maps.reshape(o, rows, cols), i


def filters_csv(filters_OIHW: Floats) -> bytes:
    """Return filters as a table: filter, channel, row, column and value of every number, which is read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filter", "channel", "row", "column", "value"))
    values = filters_OIHW.reshape(-1).tolist()
    writer.writerows((*place, value) for place, value in zip(np.ndindex(filters_OIHW.shape), values, strict=True))
    return text.getvalue().encode()
