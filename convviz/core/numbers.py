"""Numbers as people read and type them: one cell, or a whole grid as a spreadsheet copies it."""

import csv
import math
import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from convviz.core.refusal import RefusalError

Grid = NDArray[np.float64]

LARGEST = 1e12
"""The largest magnitude that can be typed: sums of products of such numbers stay far from overflow."""

THIN_SPACE = "\u202f"
"""Stands between the thousands of a count; a line does not break there."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
_ACCEPTED = "Write a number such as 3, −0.5, 2e−3 or 1/3."
_TABLE_ACCEPTED = "Rows of numbers separated by tabs, semicolons, commas or spaces are accepted."


class NumberError(RefusalError):
    """Text that is not a number or a table of numbers; the message says what was wrong and what is accepted."""


@lru_cache(maxsize=1 << 15)
def format_number(value: float, digits: int = 4) -> str:
    """Return `value` as a person would write it, with U+2212 for minus and no trailing zeros.

    Whole numbers below a million are exact. Others get `digits` significant digits (2 or more), one fewer below 1,
    where the leading zero takes its place; below 0.001 and from a million on they get an exponent: "1.23e−5", "1e7".
    """
    value = float(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    size = abs(value)
    if size < 1e6 and size == int(size):
        text = str(int(size))
    elif 1e-3 <= size < 1:
        text = f"{size:.{digits - 1}g}"
    elif 1 <= size < 999_999.5:
        text = f"{size:.{max(0, digits - len(str(int(size))))}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    else:
        mantissa, exponent = f"{size:.{digits - 1 if size > 1 else digits - 2}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(exponent)}".replace("-", "−")
    return "−" + text if value < 0 else text


def grouped(number: int) -> str:
    """Return a count with its thousands apart: "138 357 544"."""
    return f"{number:,}".replace(",", THIN_SPACE)


def parse_number(text: str) -> float:
    """Return the number that `text` spells: "3", "−0.5", "2e-3", "1/3", with a decimal point or a decimal comma.

    ASCII minus and U+2212 are both understood, and space around the number is ignored. Raises NumberError for anything
    else, for NaN and infinity, and beyond `LARGEST`.
    """
    plain = text.strip().replace("−", "-")
    if not plain:
        raise NumberError("The cell is empty.", _ACCEPTED)
    values = []
    for part in map(str.strip, plain.split("/", 1)):
        if not _NUMBER.fullmatch(part):
            raise NumberError("{text} is not a number.", _ACCEPTED, text=_quote(text))
        values.append(float(part.replace(",", ".")))
    value, divisor = values if len(values) == 2 else (values[0], 1.0)
    if divisor == 0:
        raise NumberError("{text} divides by zero.", _ACCEPTED, text=_quote(text))
    value /= divisor
    if not abs(value) <= LARGEST:
        raise NumberError("{text} is too large. Numbers from −1e12 to 1e12 are accepted.", text=_quote(text))
    return value


def format_table(array_HW: NDArray[np.number]) -> str:
    """Return an `(H, W)` array as tab-separated lines that a spreadsheet reads and `parse_table` restores exactly."""
    return "\n".join(
        "\t".join(repr(value).removesuffix(".0") for value in row) for row in array_HW.astype(np.float64).tolist()
    )


def parse_table(text: str, max_size: tuple[int, int]) -> Grid:
    """Return the table of numbers in `text` as an `(H, W)` array, H and W at least 1 and at most `max_size`.

    Cells are separated by tabs; where there is none by semicolons, else by commas, else by spaces. A comma is a decimal
    comma wherever it does not separate. Quoted cells and Windows line ends are understood, every cell is read by
    `parse_number`, and line ends after the last row are ignored. Raises NumberError, naming row and column (both count
    from 0, as on the rulers), for ragged rows, empty cells, anything not a number, and tables larger than `max_size`.
    """
    if not text.strip():
        raise NumberError("There are no numbers.", _TABLE_ACCEPTED)
    lines = text.rstrip("\r\n ").splitlines()
    separator = next((mark for mark in "\t;," if mark in text), " ")
    if separator == " ":
        lines = [" ".join(line.split()) for line in lines]
    try:
        rows = list(csv.reader((line + "\n" for line in lines), delimiter=separator, skipinitialspace=True))
    except csv.Error:  # a cell longer than csv's limit
        raise NumberError("The text is not a table of numbers.", _TABLE_ACCEPTED) from None

    height, width = len(rows), len(rows[0])
    if height > max_size[0] or width > max_size[1]:
        raise NumberError(
            "The table is {rows}×{cols} (rows × columns). Up to {max_rows}×{max_cols} is accepted.",
            rows=height,
            cols=width,
            max_rows=max_size[0],
            max_cols=max_size[1],
        )
    table = np.empty((height, width))
    for i, row in enumerate(rows):
        if len(row) != width:
            raise NumberError(
                "Row {row} (rows count from 0) has length {length}, row 0 has length {first}. "
                "Rows of one length are accepted.",
                row=i,
                length=len(row),
                first=width,
            )
        for j, cell in enumerate(row):
            try:
                table[i, j] = parse_number(cell)
            except NumberError as error:
                raise NumberError(
                    "Row {row}, column {col} (both count from 0):", *error.sentences, row=i, col=j, **error.values
                ) from None
    return table


def _quote(text: str) -> str:
    """Return `text` in quotation marks, on one line and cut to a length that fits a message."""
    shown = " ".join(text.split())
    return f"“{shown}”" if len(shown) <= 24 else f"“{shown[:23]}…”"
