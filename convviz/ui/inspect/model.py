"""The Inspect page's model: the file that is open, what is chosen of it, and what its network makes of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from convviz.core.explain import Position
from convviz.core.plain_text import visible
from convviz.core.refusal import RefusalError
from convviz.resources import resource
from convviz.ui.inspect.session import (
    Attribution,
    ChannelPatches,
    Cover,
    FactsQueue,
    LabUnit,
    Opening,
    Picture,
    Question,
    Seen,
    Tensor,
    TensorFacts,
    Wanted,
    attribution_job,
    data_job,
    facts_job,
    lab_job,
    look_job,
    network_job,
    open_job,
    other_job,
    patches_job,
    picture_job,
    recognise_job,
    tensor_job,
)
from convviz.ui.jobs import JobRunner

if TYPE_CHECKING:
    from convviz.nn.chain import ChainChoice
    from convviz.nn.data import Dataset
    from convviz.nn.network import LayerInfo, Network, Preprocessing
    from convviz.nn.recognise import Recognition
    from convviz.nn.source import DataProgress
    from convviz.nn.tensor_file import Contents, TensorFile, TensorInfo
    from convviz.ui.jobs import Job

Shipped = Literal["small_cnn", "fast_cnn"]

CONVOLUTION: Final = "Conv2d"


class InspectModel(QObject):
    """What is open, chosen and seen; every change is announced. A refusal leaves everything as it was."""

    opening_changed = Signal()
    """A file is being opened, or another one to compare with, or no longer; `opening` says how far it is."""
    contents_changed = Signal()
    """Other tensors are listed: `contents`."""
    file_changed = Signal()
    """Another file is open: `file`. All that belonged to the last one is gone."""
    facts_changed = Signal(object)
    """The facts of the tensors with these indices (a list) have become known; None: of all that are known."""
    network_changed = Signal()
    """`recognition` has become known, or `network` is another one, or has become known."""
    tensor_chosen = Signal()
    """`tensor_index` is another one; its numbers follow."""
    tensor_changed = Signal()
    """`tensor`, the chosen tensor's numbers, or those it is compared with, have become known; or it is None."""
    other_changed = Signal()
    """Another file, or none, is compared with: `other`."""
    wish_changed = Signal()
    """Picture, preprocessing, cover, layer or unit were chosen; what is seen follows."""
    seen_changed = Signal()
    """`seen` is newer, or None."""
    data_changed = Signal()
    """The data set has become known, is being prepared or cannot be: `dataset`, `data_progress`."""
    work_changed = Signal()
    """Patches or an attribution have become known, are being computed, or no longer: `work_progress`."""
    lab_ready = Signal(object)
    """A `LabUnit` for the Lab."""
    failed = Signal(object)
    """A RefusalError: what was asked for cannot be had, and everything is as it was."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.opening: DataProgress | None = None
        self.contents: Contents | None = None
        """What is in `file`, or already in the one that is being opened."""
        self.file: TensorFile | None = None
        self.recognition: Recognition | None = None
        self.network: Network | None = None
        self.facts: dict[int, TensorFacts] = {}
        self.tensor_index: int | None = None
        self.tensor: Tensor | None = None
        self.other: TensorFile | None = None
        self.picture: Picture | None = None
        self.preprocessing: Preprocessing | None = None
        self.cover: Cover | None = None
        self.layer: LayerInfo | None = None
        self.unit: Position | None = None
        self.seen: Seen | None = None
        self.data_key: str | None = None
        self._wanted_data: tuple[str | None, bool] = None, False
        """The data set that is being prepared, and whether its first picture is to be shown."""
        self.dataset: Dataset | None = None
        self.data_progress: DataProgress | None = None
        self.patches: ChannelPatches | None = None
        self.attribution: Attribution | None = None
        self.work_progress: DataProgress | None = None
        self._ask_again: Callable[[int], None] | None = None
        self._wanted_index: int | None = None
        """The tensor that was chosen while the file is being opened."""
        self._queue = FactsQueue(())
        self._num_found = 0
        self._looks_again = False
        self._make_runners()

    def _make_runners(self) -> None:
        self._opener = self._runner(self._on_opened, self._on_opening_failed, self._on_opening)
        self._comparer = self._runner(self._on_other, self._on_opening_failed, self._on_other_opening)
        self._chain_maker = self._runner(self._on_network, self._refuse)
        self._reader = self._runner(self._on_tensor, self._on_tensor_failed)
        self._counter = self._runner(self._on_facts, self._refuse, self._on_facts)
        self._painter = self._runner(self._on_picture, self._refuse)
        self._looker = self._runner(self._on_seen, self._on_look_failed)
        self._loader = self._runner(self._on_data, self._on_data_failed, self._on_data_progress)
        self._worker = self._runner(self._on_work, self._on_work_failed, self._on_work_progress)
        self._lab_maker = self._runner(self._on_lab, self._refuse)

    def _runner(
        self,
        deliver: Callable[[Any], None],
        fail: Callable[[Exception], None],
        progress: Callable[[Any], None] | None = None,
    ) -> JobRunner:
        runner = JobRunner(self)
        runner.succeeded.connect(deliver)
        runner.failed.connect(fail)
        if progress is not None:
            runner.progressed.connect(progress)
        return runner

    @property
    def is_busy(self) -> bool:
        """Whether anything is being computed."""
        return any(runner.busy for runner in self.findChildren(JobRunner))

    def cancel(self) -> None:
        """Drop everything that is being computed."""
        for runner in self.findChildren(JobRunner):
            runner.cancel()

    # ---- a file

    def open(self, path: Path, most_bytes: int | None = None) -> None:
        """Open a file, and look for its network; `most_bytes` is the memory it may take where that is much."""
        self._ask_again = partial(self.open, path)
        self._opener.start(open_job(path, most_bytes))
        self._show_opening(None)

    def open_shipped(self, name: Shipped) -> None:
        """Open one of the networks that come with the program."""
        self.open(resource(f"weights/{name}.pt"))

    def recognise(self) -> None:
        """Look for the network of the file again, after that was cancelled."""
        if self.file is not None:
            self._opener.start(recognise_job(self.file))
            self._show_opening(None)

    @property
    def is_opening(self) -> bool:
        """Whether a file is being opened, or its network looked for."""
        return self._opener.busy or self._comparer.busy

    def cancel_opening(self) -> None:
        """Stop opening; the file that is open stays, and one whose network was looked for stays without it."""
        self._opener.cancel()
        self._comparer.cancel()
        self._list_file()
        self._show_opening(None)

    def allow(self, most_bytes: int) -> None:
        """Ask again for the file that was asked for last, with so much memory."""
        if self._ask_again is not None:
            self._ask_again(most_bytes)

    @property
    def file_names(self) -> tuple[str, str]:
        """What tells the file and the one it is compared with apart: their names, with the folder if those are equal.

        Without another file its name is empty.
        """
        paths = [Path() if file is None else file.path for file in (self.file, self.other)]
        alike = paths[0].name == paths[1].name
        one, other = (visible(str(Path(path.parent.name, path.name)) if alike else path.name) for path in paths)
        return one, other

    def compare(self, path: Path, most_bytes: int | None = None) -> None:
        """Open another file to compare with: the chosen tensor then has the numbers of both."""
        self._ask_again = partial(self.compare, path)
        self._comparer.start(other_job(path, most_bytes))
        self._show_opening(None)

    def end_comparison(self) -> None:
        """Compare with no other file any more."""
        self._comparer.cancel()
        self.other = None
        self.other_changed.emit()
        self._read_tensor()

    # ---- tensors

    @property
    def info(self) -> TensorInfo | None:
        """The chosen tensor's name, shape and dtype."""
        return None if self.file is None or self.tensor_index is None else self.file.infos[self.tensor_index]

    @property
    def is_file_listed(self) -> bool:
        """Whether the `contents` are the file's, not those of the one that is being opened."""
        return self.contents is self.file

    @property
    def listed_facts(self) -> Mapping[int, TensorFacts]:
        """What is known of the tensors in `contents`, by their indices there."""
        return self.facts if self.is_file_listed else {}

    def choose_tensor(self, index: int) -> None:
        """Choose one of the tensors in `contents`, at once or when the file is open.

        The layer whose weight it is, if any, becomes the layer that is looked at.
        """
        if not self.is_file_listed:
            self._wanted_index = index
        elif self._take_tensor(index) and self.network is not None:
            layer = self._layer_of(self.info.short if self.info is not None else "")
            if layer is not None:
                self._take_layer(layer)

    def prefer(self, indices: Iterable[int]) -> None:
        """Find out the facts of these tensors in `contents` before those of others: they are in view."""
        if self.is_file_listed:
            self._queue.prefer(indices)

    # ---- the network

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that the file may be, the likeliest first."""
        return () if self.recognition is None else self.recognition.networks

    def choose_network(self, index: int) -> None:
        """Take another of `networks`."""
        self._take_network(self.networks[index])

    def confirm(self, choice: ChainChoice) -> None:
        """Take the proposed chain as `choice` says."""
        if self.recognition is not None and self.recognition.proposal is not None:
            self._chain_maker.start(network_job(self.recognition.proposal, choice))

    # ---- through a picture

    def show_picture(self, picture: Picture) -> None:
        """Look at another picture, without a cover."""
        self._painter.cancel()
        self.picture, self.cover = picture, None
        self._wish()

    def load_picture(self, source: Path | bytes, name: str) -> None:
        """Look at the picture in a file, or in the bytes of one; `name` is what it is called."""
        self._painter.start(picture_job(source, name))

    def show_sample(self, index: int) -> None:
        """Look at one of the data set's test pictures."""
        if self.dataset is not None:
            test = self.dataset.test
            label = self.dataset.classes[int(test.labels[index])]
            self.show_picture(Picture(np.array(test.images[index]), f"{self.dataset.name} {index}", label))

    def set_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Prepare pictures in another way; make one by `dataclasses.replace` of `preprocessing`."""
        self.preprocessing = preprocessing
        self._wish()

    def set_cover(self, cover: Cover | None) -> None:
        """Hide a part of the picture."""
        self.cover = cover
        self._wish()

    def choose_layer(self, name: str) -> None:
        """Look at another layer; its weight, if it has one, becomes the chosen tensor."""
        layer = next(layer for layer in self.layers if layer.name == name)
        self._take_layer(layer)
        if self.file is not None and layer.weight is not None:
            shorts = [info.short for info in self.file.infos]
            if layer.weight in shorts:
                self._take_tensor(shorts.index(layer.weight))

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The network's layers in the order in which they run."""
        return () if self.network is None else self.network.layers

    def choose_unit(self, unit: Position | None) -> None:
        """Look at what a unit (channel, i, j) of the layer's maps sees."""
        self.unit = unit
        self._wish()

    def open_in_lab(self) -> None:
        """Prepare the unit for the Lab; `lab_ready` brings it."""
        if self.seen is not None and self.seen.unit is not None:
            self._lab_maker.start(lab_job(self.seen))

    # ---- a data set, and what takes long

    def load_data(self, key: str | None = None) -> None:
        """Look at the pictures of a data set; without a key at those that suit the network best of what is there."""
        self._load_data(key, shows_them=True)

    def _load_data(self, key: str | None, shows_them: bool) -> None:
        if self.file is None or self.network is None:
            return
        self._wanted_data = key, shows_them
        self._loader.start(data_job(self.file, self.network, key))
        self.data_changed.emit()

    @property
    def is_loading_data(self) -> bool:
        """Whether a data set is being prepared."""
        return self._loader.busy

    def cancel_data(self) -> None:
        """Stop preparing a data set."""
        self._loader.cancel()
        self.data_progress = None
        self.data_changed.emit()

    def find_patches(self) -> None:
        """Look for the strongest patches of the layer's channels in the data set's test pictures."""
        if self.seen is not None and self.dataset is not None and self.layer is not None:
            self._work(patches_job(self.seen.network, self.layer.name, self.dataset))

    def ask(self, question: Question) -> None:
        """Compute an attribution of what is seen."""
        if self.seen is not None:
            self._work(attribution_job(self.seen, question))

    @property
    def is_working(self) -> bool:
        """Whether patches or an attribution are being computed."""
        return self._worker.busy

    def cancel_work(self) -> None:
        """Stop computing patches or an attribution."""
        self._worker.cancel()
        self.work_progress = None
        self.work_changed.emit()

    # ---- what follows

    def _list(self, contents: Contents) -> None:
        """List what is in the file that is being opened."""
        self._counter.cancel()
        self.contents, self._wanted_index = contents, None
        self.contents_changed.emit()

    def _list_file(self) -> None:
        """List what is in the file again, if another one was being opened."""
        if not self.is_file_listed:
            self.contents = self.file
            if self.file is not None:
                self._queue = FactsQueue(index for index in range(len(self.file.infos)) if index not in self.facts)
                self._count(self.file)
            self.contents_changed.emit()

    def _count(self, file: TensorFile) -> None:
        """Find out the facts of the tensors in the queue."""
        self._num_found = 0
        self._counter.start(facts_job(file, self._queue))

    def _take_file(self, file: TensorFile) -> None:
        for runner in (self._comparer, self._chain_maker, self._reader, self._counter, self._looker, self._worker):
            runner.cancel()
        listed = None if self.is_file_listed else self.contents
        self.contents, self.file, self.other, self.recognition = file, file, None, None
        self.facts, self._queue = {}, FactsQueue(range(len(file.infos)))
        self.tensor_index, self.tensor = None, None
        self._take_network(None)
        if listed is None or listed.infos != file.infos:
            self._wanted_index = None
            self.contents_changed.emit()
        self.file_changed.emit()
        self.tensor_changed.emit()
        self.other_changed.emit()
        self._count(file)
        kernels = [index for index, info in enumerate(file.infos) if info.kind == "weight" and len(info.shape) == 4]
        first = kernels[0] if kernels else 0
        self._take_tensor(first if self._wanted_index is None else self._wanted_index)

    def _take_network(self, network: Network | None) -> None:
        """Look through another network, or none, at the picture that was looked at before."""
        if network is self.network and network is not None:
            return
        self._looker.cancel()
        self._looks_again = False
        self.network, self.seen, self.unit, self.cover = network, None, None, None
        self.preprocessing = None if network is None else network.preprocessing
        self.layer = None if network is None else self._first_layer(network)
        self._drop_work()
        self.network_changed.emit()
        self.seen_changed.emit()
        if network is not None and (self.picture is None or self.dataset is not None):
            self._load_data(self.data_key, shows_them=self.picture is None)
        self._wish()

    def _first_layer(self, network: Network) -> LayerInfo:
        """Return the layer of the chosen tensor, or the first convolution, or the first layer."""
        chosen = None if self.info is None else self._layer_of(self.info.short)
        convolutions = (layer for layer in network.layers if layer.kind == CONVOLUTION)
        return chosen or next(convolutions, network.layers[0])

    def _layer_of(self, weight: str) -> LayerInfo | None:
        return next((layer for layer in self.layers if layer.weight == weight), None)

    def _take_layer(self, layer: LayerInfo) -> None:
        if layer is not self.layer:
            self.layer, self.unit = layer, None
            self._drop_work()
            self._wish()

    def _drop_work(self) -> None:
        self._worker.cancel()
        self.patches = self.attribution = self.work_progress = None
        self.work_changed.emit()

    def _work(self, job: Job) -> None:
        self._worker.start(job)
        self.work_progress = None
        self.work_changed.emit()

    def _take_tensor(self, index: int) -> bool:
        """Choose a tensor; say whether it is another one."""
        if index == self.tensor_index:
            return False
        self.tensor_index, self.tensor = index, None
        self.tensor_chosen.emit()
        self._read_tensor()
        return True

    def _read_tensor(self) -> None:
        if self.file is not None and self.tensor_index is not None:
            index = self.tensor_index
            self._reader.start(tensor_job(self.file, index, self.other, self.facts.get(index)))

    def _wish(self) -> None:
        """Look at what is chosen now; while the last look is not over, afterwards: what is seen follows a drag."""
        self.wish_changed.emit()
        if self._looker.busy:
            self._looks_again = True
        else:
            self._look()

    def _look(self) -> None:
        self._looks_again = False
        network, preprocessing, picture, layer = self.network, self.preprocessing, self.picture, self.layer
        if network is not None and preprocessing is not None and picture is not None and layer is not None:
            wanted = Wanted(network, preprocessing, picture, self.cover, layer.name, self.unit)
            self._looker.start(look_job(wanted, self.seen))

    # ---- what comes from the threads

    def _show_opening(self, progress: DataProgress | None) -> None:
        self.opening = progress
        self.opening_changed.emit()

    @Slot(object)
    def _on_opening(self, opening: Opening) -> None:
        if opening.file is not None and opening.file is not self.file:
            self._take_file(opening.file)
        elif opening.file is None and opening.contents not in (None, self.contents):
            self._list(opening.contents)
        if opening.recognition is not None:
            self.recognition = opening.recognition
            self._take_network(self.networks[0] if self.networks else None)
        self._show_opening(opening.progress)

    @Slot(object)
    def _on_opened(self, opening: Opening | None) -> None:
        self._on_opening(opening or Opening())

    @Slot(object)
    def _on_other_opening(self, opening: Opening) -> None:
        self._show_opening(opening.progress)

    @Slot(object)
    def _on_other(self, opening: Opening | None) -> None:
        if opening is not None:
            self.other = opening.file
            self.other_changed.emit()
            self._read_tensor()
        self._show_opening(None)

    @Slot(object)
    def _on_opening_failed(self, error: Exception) -> None:
        self._list_file()
        self._show_opening(None)
        self._refuse(error)

    @Slot(object)
    def _on_network(self, network: Network) -> None:
        self._take_network(network)

    @Slot(object)
    def _on_facts(self, found: list[tuple[int, TensorFacts]]) -> None:
        count = len(found)  # the job may add to it meanwhile
        new = dict(found[self._num_found : count])
        self._num_found = count
        self.facts |= new
        self.facts_changed.emit(list(new))

    @Slot(object)
    def _on_tensor(self, tensor: Tensor | None) -> None:
        if tensor is None:
            return
        self.tensor = tensor
        self.facts[tensor.index] = tensor.facts
        self.tensor_changed.emit()
        self.facts_changed.emit([tensor.index])

    @Slot(object)
    def _on_tensor_failed(self, error: Exception) -> None:
        """Keep why the tensor cannot be read as what is known of it: that is no news at the top of the page."""
        if not isinstance(error, RefusalError):
            raise error
        assert self.tensor_index is not None
        self.facts[self.tensor_index] = TensorFacts(refusal=error)
        self.tensor = None
        self.tensor_changed.emit()
        self.facts_changed.emit([self.tensor_index])

    @Slot(object)
    def _on_picture(self, picture: Picture) -> None:
        self.show_picture(picture)

    @Slot(object)
    def _on_seen(self, seen: Seen) -> None:
        self.seen = seen
        self.seen_changed.emit()
        if self._looks_again:
            self._look()

    @Slot(object)
    def _on_look_failed(self, error: Exception) -> None:
        """Go back to what was seen last."""
        self._looks_again = False
        if self.network is not None:
            self.preprocessing = (self.network if self.seen is None else self.seen.network).preprocessing
            self.wish_changed.emit()
        self._refuse(error)

    @Slot(object)
    def _on_data_progress(self, progress: DataProgress) -> None:
        self.data_progress = progress
        self.data_changed.emit()

    @Slot(object)
    def _on_data(self, dataset: Dataset | None) -> None:
        self.data_progress = None
        if dataset is None:
            self.data_changed.emit()
            return
        self.data_key, shows_them = self._wanted_data
        self.dataset = dataset
        self.data_changed.emit()
        if shows_them:
            self.show_sample(0)

    @Slot(object)
    def _on_data_failed(self, error: Exception) -> None:
        self.data_progress = None
        self.data_changed.emit()
        self._refuse(error)

    @Slot(object)
    def _on_work_progress(self, step: DataProgress | Attribution) -> None:
        if isinstance(step, Attribution):
            self.attribution, self.work_progress = step, step.progress
        else:
            self.work_progress = step
        self.work_changed.emit()

    @Slot(object)
    def _on_work(self, answer: ChannelPatches | Attribution | None) -> None:
        if isinstance(answer, ChannelPatches):
            self.patches = answer
        elif answer is not None:
            self.attribution = answer
        self.work_progress = None
        self.work_changed.emit()

    @Slot(object)
    def _on_work_failed(self, error: Exception) -> None:
        self.work_progress = None
        self.work_changed.emit()
        self._refuse(error)

    @Slot(object)
    def _on_lab(self, unit: LabUnit) -> None:
        self.lab_ready.emit(unit)

    @Slot(object)
    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, RefusalError):
            raise error
        self.failed.emit(error)
