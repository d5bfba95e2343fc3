"""Files of tensors from anyone: opened without running anything in them, and shown as they are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import safetensors
import torch
from numpy.typing import NDArray

from convviz.core.control import StopToken, go_on
from convviz.core.plain_text import visible
from convviz.core.refusal import RefusalError
from convviz.nn.collector import collector_paused
from convviz.nn.file_format import RESAVE, TOO_MUCH, Format, Outline, TooLargeError, examine, opened
from convviz.nn.source import DataProgress
from convviz.nn.weights import Found, Kind, TooManyPartsError, find_weights

READING: Final = "Reading the tensors"
MOST_BYTES: Final = 4_000_000_000
"""So much memory a file may take, and so much the numbers of one of its tensors, unless the user allows more."""

_AS_THEY_ARE: Final = frozenset(
    {
        *(torch.bool, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    }
)
"""What numpy has a type for; of float16 few of its functions are fast."""


@dataclass(frozen=True)
class TensorInfo:
    """A tensor in a file.

    Attributes:
        name: the keys that lead to it, joined by dots; plain text of any length, as it is in the file.
        short: what its network calls it: without the nesting and prefixes such as "module.".
        shape: () for a single number.
        dtype: as torch names it: "float32", "bfloat16", "qint8".
        kind: whether it is a network's weight, its buffer, an optimizer's memory or anything else.
        num_bytes: of its numbers in this dtype, shared or not.
    """

    name: str
    short: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    num_bytes: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class Contents:
    """What is in a file.

    Attributes:
        path: where it lies.
        num_bytes: its size.
        format: what it is.
        infos: its tensors, in its order.
    """

    def __init__(self, path: Path, format: Format, tensors: Iterable[Found]) -> None:
        self.path = path
        self.num_bytes = path.stat().st_size
        self.format = format
        self.infos = tuple(_info(found) for found in tensors)


class TensorFile(Contents):
    """A file that was opened: what is in it, and its numbers.

    Attributes:
        document: all that was in it, as it was loaded.
    """

    def __init__(self, path: Path, format: Format, tensors: Sequence[Found], document: object, most_bytes: int) -> None:
        super().__init__(path, format, tensors)
        self.document = document
        self._tensors = tensors
        self._most_bytes = most_bytes

    def values(self, index: int) -> NDArray[Any]:
        """Return the numbers of the tensor `infos[index]`, in its shape; they are the file's own, not to be written to.

        float16, bfloat16 and float8 become float32. Quantised numbers are multiplied out, sparse ones filled in with
        zeros.

        Raises:
            RefusalError: they cannot be read; `TooLargeError` if they take more memory than is allowed.

        """
        name, tensor = self.infos[index].name, self._tensors[index].tensor
        dtype = _numpy_dtype(tensor)
        num_bytes = tensor.numel() * dtype.itemsize
        if num_bytes > self._most_bytes:
            raise TooLargeError(name, num_bytes, self._most_bytes)
        try:
            if tensor.is_quantized:
                tensor = tensor.dequantize()
            elif tensor.layout != torch.strided:
                tensor = tensor.to_dense()
            array: NDArray[Any] = tensor.to(dtype).resolve_conj().resolve_neg().numpy()
        except (RuntimeError, TypeError, ValueError) as error:
            raise RefusalError(
                "The numbers of {name} cannot be read: numpy has no form for {dtype}.",
                name=visible(name),
                dtype=self.infos[index].dtype,
            ) from error
        return array

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return *the* network's weights and buffers by short name, as they are: quantised or sparse, not copied."""
        return {found.short: found.tensor for found in self._tensors if found.of_network}


def _numpy_dtype(tensor: torch.Tensor) -> torch.dtype:
    """Return the type that a tensor's numbers get on the way to numpy."""
    if tensor.dtype in _AS_THEY_ARE:
        return tensor.dtype
    return torch.complex64 if tensor.is_complex() else torch.float32


def open_tensor_file(
    path: Path, most_bytes: int = MOST_BYTES, token: StopToken | None = None
) -> Generator[DataProgress | Contents, None, TensorFile]:
    """Open a file of tensors, whoever made it.

    The `Contents` of a file of PyTorch come on the way: torch needs two seconds to read 30 000 tensors.

    Args:
        path: of a file as `torch.save` writes it, zipped or not, or of a safetensors file; its name plays no part.
        most_bytes: so much memory it may take.
        token: asks to stop.

    Raises:
        RefusalError: what it is instead, and what can be done; `TooLargeError` if only `most_bytes` is too low.
        StoppedError: `token` asked for it.

    """
    token = token or StopToken()
    steps = load(path, most_bytes, token)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            format, document = end.value
            break
        if isinstance(step, DataProgress):
            yield step
        elif contents := _contents(path, step):
            yield contents
    try:
        with collector_paused():
            tensors = find_weights(document)
    except TooManyPartsError as error:
        raise RefusalError(TOO_MUCH, RESAVE, file=visible(path.name)) from error
    if not tensors:
        raise RefusalError("{file} holds no tensors.", RESAVE, file=visible(path.name))
    go_on(token)
    return TensorFile(path, format, tensors, document, most_bytes)


def _contents(path: Path, outline: Outline) -> Contents | None:
    """Return what is in a file by its outline; None where only reading it can tell."""
    try:
        with _without_warnings(), collector_paused():
            return Contents(path, outline.format, find_weights(outline.document))
    except (AttributeError, TypeError, RuntimeError, TooManyPartsError):  # no type of torch's, or an immense shape
        return None


def load(
    path: Path, most_bytes: int = MOST_BYTES, token: StopToken | None = None
) -> Generator[DataProgress | Outline, None, tuple[Format, object]]:
    """Return what a file is, and what it holds: tensors and plain data only, on the CPU.

    Arguments and errors are those of `open_tensor_file`; the outline comes as from `examine`.
    """
    token = token or StopToken()
    with opened(path) as file:
        format = yield from examine(file, path, most_bytes, token)
        go_on(token)
        yield DataProgress(0, 0, READING)
        try:
            return format, _load_safetensors(path) if format == "safetensors" else _load_pickled(file)
        except OSError:
            raise
        except MemoryError as error:
            raise RefusalError("{file} does not fit in this computer's memory.", file=visible(path.name)) from error
        except Exception as error:  # whatever is wrong; torch's own words advise what is not safe
            raise RefusalError(
                "{file} is damaged, or holds a kind of tensor that is not known here.", RESAVE, file=visible(path.name)
            ) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep torch from saying that checking takes time and that types are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load_pickled(file: BinaryIO) -> object:
    file.seek(0)
    with (
        _without_warnings(),
        collector_paused(),
        torch.sparse.check_sparse_tensor_invariants(),  # type: ignore[no-untyped-call]  # torch's own
    ):
        return torch.load(file, map_location="cpu", weights_only=True)


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    # Not mapped to memory: a file that is written anew meanwhile would end the program.
    with safetensors.safe_open(path, "pt", backend="pread") as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}


def _info(found: Found) -> TensorInfo:
    tensor = found.tensor
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorInfo(
        found.name, found.short, tuple(tensor.shape), dtype, found.kind, tensor.numel() * tensor.element_size()
    )
