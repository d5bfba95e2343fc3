"""``convviz inspect``: the tensors of a file in the terminal. torch is imported late."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convviz.core.plain_text import visible
from convviz.core.refusal import RefusalError
from convviz.core.statistics import statistics
from convviz.nn.file_format import opened
from convviz.startup import StartError

if TYPE_CHECKING:
    from convviz.nn.tensor_file import TensorFile

GB: Final = 10**9
_WIDTH: Final = 12
"""Of a column of numbers: "-1.23457e-05" fits."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convviz inspect``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="weights: a file of PyTorch or safetensors")
    parser.add_argument("--list", action="store_true", help="print the tensors, and open no window")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.add_argument("--memory", type=_gigabytes, metavar="GB", help="memory that the file may take (default: 4)")


def _gigabytes(text: str) -> int:
    try:
        num_bytes = int(float(text) * GB)
    except (ValueError, OverflowError):
        num_bytes = 0
    if num_bytes <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of gigabytes such as 8")
    return num_bytes


def check(options: argparse.Namespace) -> None:
    """Raise StartError where the options do not go together or there is no file."""
    if not options.list and (options.json or options.memory):
        raise StartError("--json and --memory go with --list; see convviz inspect --help")
    try:
        with opened(options.file):
            pass
    except RefusalError as error:
        raise StartError(str(error)) from error


def print_tensors(options: argparse.Namespace) -> int:
    """Print the tensors as the options say and return the exit code. Raises StartError where the file is refused."""
    from convviz.nn.source import result_of
    from convviz.nn.tensor_file import MOST_BYTES, open_tensor_file

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack letters that names have
    try:
        file = result_of(open_tensor_file(options.file, options.memory or MOST_BYTES))
    except RefusalError as error:
        raise StartError(str(error)) from error
    try:
        (_print_json if options.json else _print_table)(file)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads along has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _print_table(file: TensorFile) -> None:
    """Print a line for each tensor. Names come last: they may be of any length and script."""
    heads = ("shape", "dtype", "kind")
    rows = [("×".join(map(str, info.shape)) or "()", info.dtype, info.kind) for info in file.infos]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(words: Sequence[str], numbers: Sequence[str], name: str) -> str:
        columns = [word.ljust(width) for word, width in zip(words, widths, strict=True)]
        return "  ".join([*columns, *(number.rjust(_WIDTH) for number in numbers), name])

    print(line(heads, ("min", "max", "mean", "std", "nan + inf"), "name"))
    for index, (row, info) in enumerate(zip(rows, file.infos, strict=True)):
        try:
            found = statistics(file.values(index))
            known = (found.minimum, found.maximum, found.mean, found.std)
            numbers = ["-" if math.isnan(value) else f"{value:.6g}" for value in known]
            numbers.append(str(found.nans + found.infs))
        except RefusalError:
            numbers = ["-"] * 5
        print(line(row, numbers, visible(info.name)))


def _print_json(file: TensorFile) -> None:
    """Print a JSON object; what is no finite number is null."""
    tensors = [
        {"name": info.name, "shape": info.shape, "dtype": info.dtype, "kind": info.kind, **_numbers(file, index)}
        for index, info in enumerate(file.infos)
    ]
    print(json.dumps({"file": str(file.path), "format": file.format, "tensors": tensors}, indent=1, allow_nan=False))


def _numbers(file: TensorFile, index: int) -> dict[str, object]:
    try:
        found = statistics(file.values(index))
    except RefusalError as error:
        return {"refused": str(error)}
    numbers = {"min": found.minimum, "max": found.maximum, "mean": found.mean, "std": found.std}
    return {
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        **{"zeros": found.zeros, "nan": found.nans, "inf": found.infs},
    }
