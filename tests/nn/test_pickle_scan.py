import io
import pickle
import warnings
import zipfile
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convviz.nn.pickle_scan import (
    MOST_WORK,
    CutShortError,
    ForeignClassError,
    OddPickleError,
    ProtocolError,
    Storage,
    TooMuchError,
    scan,
)
from tests.nn.file_corpus import (
    HEX_BOMB,
    LIST_BOMB,
    TUPLE_BOMB,
    all_dtypes,
    doubled,
    in_dict,
    number,
    rezipped,
    small_network,
    state_dict,
    storage,
    strange_tensors,
    tensor,
    training,
    with_pickle,
    zipped,
)


def pickle_in(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


def loaded_by_torch(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(io.BytesIO(data), weights_only=True)


def scanned(pickled: bytes) -> dict[str, Storage]:
    return scan(pickled).storages


@pytest.mark.parametrize(
    "document",
    [
        state_dict(),
        training(),
        all_dtypes(),
        strange_tensors(),
        [torch.ones(2), {1: (2, "x", None, True, 2.5, b"bytes", {3}, 1 << 80, 1j, torch.Size([2]), torch.float16)}],
        torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD([torch.ones(1)]), [3, 9]).state_dict(),
    ],
    ids=["state dict", "training", "dtypes", "strange", "plain data", "scheduler"],
)
def test_it_finds_the_storages_of_what_torch_saves(document: object) -> None:
    data = zipped(document)
    loaded_by_torch(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {
            member.filename.rpartition("/")[2]: member.file_size
            for member in archive.infolist()
            if "/data/" in member.filename
        }
    storages = scanned(pickle_in(data))
    assert {key: storage.num_elements * storage.element_size for key, storage in storages.items()} == sizes


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_first_class_that_is_not_known_is_named(protocol: int) -> None:
    with pytest.raises(ForeignClassError, match=r"torch\.nn\.modules\.container\.Sequential"):
        scanned(pickle.dumps({"a": [1, "x", 2.5, b"bytes", None], "model": small_network()}, protocol))


def test_plain_values_are_returned_and_where_the_pickle_ends() -> None:
    pickled = pickle.dumps(["a", "b"], 2)
    found = scan(b"before" + pickled + b"rest", len("before"))
    assert found.value == ["a", "b"]
    assert found.end == len("before") + len(pickled)


def test_other_protocols_are_told_apart() -> None:
    with pytest.raises(ProtocolError):
        scanned(pickle.dumps({"a": "b"}, 4))


@pytest.mark.parametrize(
    "pickled",
    [
        in_dict(tensor(4, 5)),
        in_dict(tensor(4, 2, stride=4)),
        in_dict(tensor(4, 2, offset=3)),
        in_dict(tensor(4, -1)),
        in_dict(tensor(4, 1, stride=-1)),
        in_dict(b"(", storage(4), storage(5), b"t"),
        in_dict(b"(", storage(4, b"WrongTensor"), b"t"),
        in_dict(b"cbuiltins\nbytearray\n", number(9), b"\x85R"),
        in_dict(b"ctorch.storage\nUntypedStorage\n", number(9), b"\x85R"),
        in_dict(b"ctorch\nFloatTensor\n", number(9), b"\x85R"),
        in_dict(b"X\1\0\0\0a)R"),
        in_dict(b"ccollections\nOrderedDict\n)R}X\3\0\0\0getNsb"),
        in_dict(b"ctorch\nSize\n)R}X\1\0\0\0aNsb"),
        in_dict(b"ccollections\nOrderedDict\n)RNb"),
        in_dict(HEX_BOMB),
        in_dict(b"ctorch._utils\n_rebuild_sparse_tensor\n(N", LIST_BOMB, b"tR"),
        b"\x80\x04" + LIST_BOMB + b"X\1\0\0\0a\x93.",
        in_dict(b"ctorch._utils\n_rebuild_sparse_tensor\n(N", tensor(1, 1), b"\x85tR"),
        b"\x80\x02t.",
        b"\x80\x02h\0.",
        b"\x80\x02\x85.",
        b"\x80\x02.",
        b"\x80\x02]NNs.",
    ],
    ids=repr,
)
def test_what_torch_would_not_write_is_refused(pickled: bytes) -> None:
    with pytest.raises(OddPickleError):
        scanned(pickled + b"more")


@pytest.mark.parametrize(
    "pickled",
    [
        TUPLE_BOMB,
        in_dict(b"cbuiltins\nset\n](" + b"(" + b"N" * 100 + b"tq\0" + b"h\0" * 30 + b"e\x85R"),
        b"\x80\x02" + b"N" * 3_000_000 + b".",
    ],
    ids=["keys", "a set", "instructions"],
)
def test_what_would_take_for_ever_is_refused(pickled: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convviz.nn.pickle_scan.MOST_WORK", 1000)
    with pytest.raises(TooMuchError):
        scanned(pickled)


def test_what_is_shared_again_and_again_is_counted_up_to_a_bound() -> None:
    whole: Any = scan(b"\x80\x02" + doubled(500, b")", b"\x86") + b".").value
    assert whole.weight == MOST_WORK + 1


@given(st.data())
def test_a_pickle_cut_off_is_cut_short(data: st.DataObject) -> None:
    pickled = pickle_in(zipped(state_dict()))
    with pytest.raises(CutShortError):
        scanned(pickled[: data.draw(st.integers(0, len(pickled) - 1))])


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_what_passes_is_read_by_torch_or_refused_by_it(changes: list[tuple[float, int]]) -> None:
    """Whatever the bytes, no other error comes out, and no tensor reaches beyond its storage."""
    pickled = bytearray(pickle_in(zipped({"a": torch.arange(6.0).reshape(2, 3), "b": [1, (2, "c")]})))
    for place, value in changes:
        pickled[int(place * len(pickled))] = value
    try:
        scanned(bytes(pickled))
    except (ForeignClassError, CutShortError, OddPickleError):
        return
    data = rezipped(
        zipped({"a": torch.arange(6.0).reshape(2, 3), "b": [1, (2, "c")]}),
        lambda name, contents: bytes(pickled) if name.endswith("/data.pkl") else contents,
    )
    try:
        loaded = loaded_by_torch(data)
    except Exception:  # torch's own, of any kind
        return
    for value in loaded.values() if isinstance(loaded, dict) else []:
        if isinstance(value, torch.Tensor):
            value.sum()


def test_the_pickle_alone_is_exchanged() -> None:
    pickled = in_dict(tensor(1, 1))
    assert pickle_in(with_pickle(pickled)) == pickled
    assert loaded_by_torch(with_pickle(pickled))["a"].equal(torch.ones(1))
