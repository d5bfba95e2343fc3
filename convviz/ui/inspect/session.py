"""Files, networks and looks beside the window: the one place of the page that reaches torch. No Qt in here.

Every function that returns a job only prepares it: torch is imported when the job runs, in its thread.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from convviz.core.control import StoppedError, StopToken
from convviz.core.explain import Position
from convviz.core.filters import as_filters
from convviz.core.pictures import load_picture
from convviz.core.refusal import RefusalError
from convviz.core.statistics import FilterFacts, Statistics, filter_facts, statistics
from convviz.nn.source import DataProgress, Pixels
from convviz.ui.torch_start import STARTING, import_torch, is_torch_there

if TYPE_CHECKING:
    from convviz.core.receptive_field import Region
    from convviz.nn.chain import ChainChoice, Proposal
    from convviz.nn.data import Dataset
    from convviz.nn.look import ForLab, Look
    from convviz.nn.network import Network, Preprocessing
    from convviz.nn.patches import Patch
    from convviz.nn.recognise import Recognition
    from convviz.nn.tensor_file import Contents, TensorFile, TensorInfo
    from convviz.ui.jobs import Job

_Result = TypeVar("_Result")
Values = NDArray[Any]
Floats = NDArray[np.float32]
Kernels = NDArray[np.floating]
AttributionKind = Literal["grad_cam", "occlusion", "maximised"]

MOST_PICTURE_SIDE: Final = 1024
"""Longest side of a user's picture; larger ones shrink."""
DRAWN_SIDE: Final = 32
"""Height and width of the pictures of data sets that have a size of their own."""
MAXIMISING: Final = "Looking for what excites the channel"
"""Stands in `DataProgress.what` meanwhile."""
CIFAR10_CLASSES: Final = frozenset(
    {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
)
MOST_FILTER_NUMBERS: Final = 1 << 27
"""Numbers of a weight that is shown as filters, more than known networks have; they are copied several times."""
GREY: Final = 127.5
"""The grey of a cover, as a pixel."""


@dataclass(frozen=True, eq=False)
class Opening:
    """The newest of what is known while a file is opened.

    Attributes:
        progress: what is being done, None at the end.
        contents: what is in the file, where that is known before it is read.
        file: once it is read.
        recognition: once its network was looked for.
    """

    progress: DataProgress | None = None
    contents: Contents | None = None
    file: TensorFile | None = None
    recognition: Recognition | None = None


@dataclass(frozen=True, eq=False)
class TensorFacts:
    """What is said of a tensor's numbers.

    Attributes:
        statistics: of all its numbers; None where they cannot be read.
        filters: norms and faults of its filters; None where it is no weight (O, I, H, W).
        refusal: why the numbers cannot be read, if so.
    """

    statistics: Statistics | None = None
    filters: FilterFacts | None = None
    refusal: RefusalError | None = None


@dataclass(frozen=True, eq=False)
class Tensor:
    """The chosen tensor with its numbers.

    Attributes:
        index: where it is in the file's `infos`.
        info: its name, shape and dtype.
        values: its numbers, in its shape.
        facts: what is said of them.
        kernels: the numbers as filters (O, I, H, W), see `as_filters`; None where it is no convolution's weight.
        other: the numbers of the tensor of the same short name and shape in the file that is compared with; None where
            there is none.
        other_kernels: those as filters.
    """

    index: int
    info: TensorInfo
    values: Values
    facts: TensorFacts
    kernels: Kernels | None = None
    other: Values | None = None
    other_kernels: Kernels | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture for a network.

    Attributes:
        pixels: (1 or 3, H, W).
        name: where it is from, for people; plain text.
        label: the name of its class where that is known, or "".
    """

    pixels: Pixels
    name: str
    label: str = ""


class Cover(NamedTuple):
    """A grey rectangle on the picture, in pixels of what the network reads."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Wanted:
    """What of a network is to be seen.

    Attributes:
        network: what is looked through.
        preprocessing: what is made of the picture first.
        picture: what the network reads.
        cover: what of it is hidden.
        layer_name: whose maps are shown.
        unit: (channel, i, j) of these maps whose regions are shown; None for none.
    """

    network: Network
    preprocessing: Preprocessing
    picture: Picture
    cover: Cover | None
    layer_name: str
    unit: Position | None


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen: the answer to `Wanted`.

    Attributes:
        wanted: what was asked for.
        network: with the preprocessing that was asked for.
        read: the picture that the network reads before it is normalised, (C, H, W), scaled, cut and covered.
        look: maps and probabilities.
        regions: what the unit sees, of the picture ("") first, then of each layer before; () without a unit.
    """

    wanted: Wanted
    network: Network
    read: Pixels
    look: Look
    regions: tuple[tuple[str, Region], ...] = ()

    @property
    def unit(self) -> Position | None:
        """The unit (channel, i, j) whose regions are known."""
        return self.wanted.unit

    @property
    def value(self) -> float | None:
        """The unit's activation."""
        return None if self.unit is None else float(self.look.maps[self.unit])


@dataclass(frozen=True, eq=False)
class ChannelPatches:
    """The strongest patches of every channel of a layer.

    Attributes:
        network: whose they are, with its preprocessing.
        layer_name: the layer.
        dataset: whose test pictures were looked through.
        channels: for each channel its patches, the strongest first.
    """

    network: Network
    layer_name: str
    dataset: Dataset
    channels: tuple[tuple[Patch, ...], ...]


@dataclass(frozen=True)
class Question:
    """Which attribution is wanted.

    Attributes:
        kind: Grad-CAM or occlusion for a class, or the picture that excites a channel most.
        target: the class's or the channel's index.
        side: of the grey square of an occlusion, in pixels.
        stride: by which it moves.
        seed: of the picture that a maximisation begins with.
    """

    kind: AttributionKind
    target: int
    side: int = 8
    stride: int = 4
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Attribution:
    """The answer to a `Question`.

    Attributes:
        question: what was asked.
        seen: of what.
        values: as `nn.attribution` returns them: (H, W), or the picture (C, H, W) of a maximisation.
        progress: how far a maximisation is, whose picture gets better with each step; None at the end.
    """

    question: Question
    seen: Seen
    values: Values
    progress: DataProgress | None = None


@dataclass(frozen=True, eq=False)
class LabUnit:
    """A unit for the Lab: a layer in its stack with real weights and input, and (channel, i, j) of its output."""

    for_lab: ForLab
    unit: Position


class FactsQueue:
    """Which tensors' facts are computed next: those that are seen, then all others in their order.

    The interface prefers from its thread, the job takes in its own.
    """

    def __init__(self, indices: Iterable[int]) -> None:
        self._left: dict[int, None] = dict.fromkeys(indices)
        self._preferred: deque[int] = deque()

    def prefer(self, indices: Iterable[int]) -> None:
        """Take these before all others."""
        self._preferred = deque(indices)

    def take(self) -> int | None:
        """Return the next one, None when all are done."""
        preferred = self._preferred
        while preferred:
            index = preferred.popleft()
            if index in self._left:
                del self._left[index]
                return index
        if not self._left:
            return None
        first = next(iter(self._left))
        del self._left[first]
        return first


def open_job(path: Path, most_bytes: int | None = None) -> Job:
    """Return a job that opens a file and looks for its network; it yields and returns an `Opening`.

    It returns None if it was stopped before there was a file. It raises RefusalError where there is none that can be
    read.

    Args:
        path: the file.
        most_bytes: how much memory it may take, where that is more than is allowed to any file.

    """

    def job(token: StopToken) -> Generator[Opening, None, Opening | None]:
        if not is_torch_there():
            yield Opening(DataProgress(0, 0, STARTING))
            import_torch()
        opening = yield from _opening(path, most_bytes, token)
        if opening is None:
            return None
        yield opening
        return (yield from _recognising(opening, token))

    return job


def other_job(path: Path, most_bytes: int | None = None) -> Job:
    """Return the same without looking for the network."""
    return lambda token: _opening(path, most_bytes, token)


def _opening(path: Path, most_bytes: int | None, token: StopToken) -> Generator[Opening, None, Opening | None]:
    from convviz.nn.tensor_file import MOST_BYTES, open_tensor_file

    try:
        steps = open_tensor_file(path, MOST_BYTES if most_bytes is None else most_bytes, token)
        return Opening(file=(yield from _following(steps, Opening())))
    except StoppedError:
        return None


def recognise_job(file: TensorFile) -> Job:
    """Return a job that looks for the network of a file that is open already, as `open_job` does."""
    return lambda token: _recognising(Opening(file=file), token)


def _recognising(opening: Opening, token: StopToken) -> Generator[Opening, None, Opening]:
    from convviz.nn.recognise import recognise

    assert opening.file is not None
    try:
        recognition = yield from _following(recognise(opening.file, token), opening)
    except StoppedError:
        return opening
    return replace(opening, recognition=recognition)


def _following(
    steps: Generator[DataProgress | Contents, None, _Result], opening: Opening
) -> Generator[Opening, None, _Result]:
    """Yield how far work is beside what is known, and return its result."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
        known = {"progress": step} if isinstance(step, DataProgress) else {"contents": step}
        opening = replace(opening, **known)
        yield opening


def network_job(proposal: Proposal, choice: ChainChoice) -> Job:
    """Return a job that makes the `Network` of a proposal as it was confirmed. RefusalError where it does not fit."""
    return lambda _: proposal.network(choice)


# ---- tensors


def facts_job(file: TensorFile, queue: FactsQueue) -> Job:
    """Return a job that yields one list of (index, TensorFacts), to which it adds until the queue is empty."""

    def job(token: StopToken) -> Generator[list[tuple[int, TensorFacts]], None, list[tuple[int, TensorFacts]]]:
        found: list[tuple[int, TensorFacts]] = []
        while not token.stop_requested and (index := queue.take()) is not None:
            try:
                facts = facts_of(file.values(index), file.infos[index], token)
            except RefusalError as refusal:
                facts = TensorFacts(refusal=refusal)
            except StoppedError:
                break
            found.append((index, facts))
            yield found
        return found

    return job


def facts_of(values: Values, info: TensorInfo, token: StopToken) -> TensorFacts:
    """Return what is said of a tensor's numbers. Raises StoppedError."""
    kernels = kernels_of(values, info)
    return TensorFacts(statistics(values, token), None if kernels is None else filter_facts(kernels))


def kernels_of(values: Values, info: TensorInfo) -> Kernels | None:
    """Return a weight as filters (O, I, H, W); None where it is no convolution's, too large or no weight at all."""
    if info.kind != "weight" or np.iscomplexobj(values) or values.size > MOST_FILTER_NUMBERS:
        return None
    numbers: Kernels = values if values.dtype.kind == "f" else values.astype(np.float64)
    return as_filters(numbers)


def tensor_job(file: TensorFile, index: int, other: TensorFile | None, facts: TensorFacts | None) -> Job:
    """Return a job that reads a `Tensor`, None if it was stopped; RefusalError where it cannot be read.

    Args:
        file: where it is.
        index: which one.
        other: the file that is compared with.
        facts: where they are known already.

    """

    def job(token: StopToken) -> Tensor | None:
        info, values = file.infos[index], file.values(index)
        other_index = None if other is None else counterpart(info, other.infos)
        other_values = None
        if other is not None and other_index is not None:
            with contextlib.suppress(RefusalError):  # what cannot be read there has nothing to be compared with
                other_values = other.values(other_index)
        try:
            known = facts if facts is not None and facts.statistics is not None else facts_of(values, info, token)
        except StoppedError:
            return None
        other_kernels = None if other_values is None else kernels_of(other_values, info)
        return Tensor(index, info, values, known, kernels_of(values, info), other_values, other_kernels)

    return job


def counterpart(info: TensorInfo, infos: Sequence[TensorInfo]) -> int | None:
    """Return where the tensor of the same short name, shape and kind is among others."""
    key = info.short, info.shape, info.kind
    return next((index for index, other in enumerate(infos) if (other.short, other.shape, other.kind) == key), None)


# ---- through a picture


def picture_job(source: Path | bytes, name: str) -> Job:
    """Return a job that reads a `Picture` from a file or from its bytes; PictureError where there is none."""

    def job(_: StopToken) -> Picture:
        pixels = load_picture(source, None, "rgb", MOST_PICTURE_SIDE).astype(np.uint8)
        return Picture(pixels, name)

    return job


def look_job(wanted: Wanted, before: Seen | None) -> Job:
    """Return a job that returns what is to be `Seen`; what did not change since `before` is kept.

    It raises RefusalError where the network does not take what the preprocessing makes of the picture.
    """

    def job(_: StopToken) -> Seen:
        from convviz.nn.look import look, preprocessed, regions
        from convviz.nn.patches import share_out

        network = wanted.network
        if before is not None and before.wanted.network is network:
            network = before.network
        if network.preprocessing != wanted.preprocessing:
            network = network.with_preprocessing(wanted.preprocessing)
        if before is not None and before.network is network and _same_look(wanted, before.wanted):
            seen = replace(before, wanted=wanted)
        else:
            x = preprocessed(wanted.picture.pixels, network.preprocessing)
            mean, std = (
                np.array(each, np.float32)[:, None, None]
                for each in (network.preprocessing.mean, network.preprocessing.std)
            )
            if wanted.cover is not None:
                top, left, height, width = wanted.cover
                x[:, max(0, top) : top + height, max(0, left) : left + width] = (GREY / 255 - mean) / std
            read = np.rint((x * std + mean) * 255).clip(0, 255).astype(np.uint8)
            share_out(network, 1)
            seen = Seen(wanted, network, read, look(network, x, wanted.layer_name))
        found = () if wanted.unit is None else regions(network, wanted.layer_name, wanted.unit)
        return replace(seen, regions=found)

    return job


def _same_look(one: Wanted, other: Wanted) -> bool:
    return one.picture is other.picture and (one.cover, one.layer_name) == (other.cover, other.layer_name)


def lab_job(seen: Seen) -> Job:
    """Return a job that returns the unit as a `LabUnit`; RefusalError where the Lab has no such layer."""

    def job(_: StopToken) -> LabUnit:
        from convviz.nn.look import for_lab

        assert seen.unit is not None
        return LabUnit(for_lab(seen.network, seen.look), seen.unit)

    return job


# ---- a data set, and what takes long


def data_job(file: TensorFile, network: Network, key: str | None) -> Job:
    """Return a job that yields `DataProgress` and returns a `Dataset`; None if it was stopped.

    It raises RefusalError where the pictures cannot be had.

    Args:
        file: whose network it is.
        network: which reads the pictures.
        key: what `load_dataset` takes; None for the first that can be loaded of what the network was trained on,
            CIFAR-10 if it has its classes, and the drawn shapes. A folder's pictures become as large as the network
            reads them.

    """

    def job(token: StopToken) -> Generator[DataProgress, None, Dataset | None]:
        from convviz.nn.data import CIFAR10, SHAPES10, load_dataset

        channels, height, width = network.input_shape
        keys = [*_suitable(file, network), SHAPES10] if key is None else [key]
        for each in keys:
            size = (DRAWN_SIDE, DRAWN_SIDE) if each in (CIFAR10, SHAPES10) else (height, width)
            try:
                return (yield from load_dataset(each, size, channels, token=token))
            except RefusalError:
                if each == keys[-1]:
                    raise
            except StoppedError:
                break
        return None

    return job


def _suitable(file: TensorFile, network: Network) -> Generator[str, None, None]:
    """Yield what `load_dataset` calls the data sets that the network may have been trained on."""
    from convviz.nn.checkpoint import data_info
    from convviz.nn.data import CIFAR10

    if network.origin == "checkpoint" and isinstance(file.document, dict):
        yield data_info(file.document["data"]).key
    if set(network.classes) == CIFAR10_CLASSES:
        yield CIFAR10


def patches_job(network: Network, layer_name: str, dataset: Dataset) -> Job:
    """Return a job that yields `DataProgress` and returns `ChannelPatches`; None if it was stopped."""

    def job(token: StopToken) -> Generator[DataProgress, None, ChannelPatches | None]:
        from convviz.nn.patches import stored_patches

        try:
            found = yield from stored_patches(network, layer_name, dataset, token=token)
        except StoppedError:
            return None
        return ChannelPatches(network, layer_name, dataset, found)

    return job


def attribution_job(seen: Seen, question: Question) -> Job:
    """Return a job that yields `DataProgress`, or what there is yet, and returns the `Attribution`; None if stopped."""

    def job(token: StopToken) -> Generator[DataProgress | Attribution, None, Attribution | None]:
        from convviz.nn.attribution import grad_cam, occlusion

        network, layer_name, x = seen.network, seen.look.layer_name, seen.look.x
        try:
            match question.kind:
                case "grad_cam":
                    values = grad_cam(network, x, question.target, layer_name)
                case "occlusion":
                    values = yield from occlusion(network, x, question.target, question.side, question.stride, token)
                case "maximised":
                    return (yield from _maximising(seen, question, token))
        except StoppedError:
            return None
        return Attribution(question, seen, values)

    return job


def _maximising(seen: Seen, question: Question, token: StopToken) -> Generator[Attribution, None, Attribution]:
    from convviz.nn.attribution import maximised

    steps = maximised(seen.network, seen.look.layer_name, question.target, question.seed, token)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return Attribution(question, seen, end.value.picture)
        yield Attribution(question, seen, step.picture, DataProgress(step.done, step.total, MAXIMISING))
