"""Files that someone may want to open: sound ones, and those that are broken, mistaken, or meant to do harm.

``python -m tests.nn.file_corpus FOLDER`` writes them all.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

MARKER = "marker"
"""The file that hostile files would make beside themselves if anything in them were run."""
LONG_NAME = "long" * 2_500
ODD_NAMES = (LONG_NAME, "<b>bold</b>", "אבג.weight", "卷积核", "a\n\x1b[31m\u202eb", "", "\ud800")
DEPTH = 20_000


@dataclass(frozen=True)
class Case:
    """A file: its name, what writes it, and what has to be said of it, or nothing if it opens."""

    name: str
    write: Callable[[Path], object]
    says: str = ""


def write_corpus(folder: Path) -> None:
    """Write all files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        case.write(folder / case.name)


# ---- contents


def small_network() -> nn.Module:
    """The network whose weights most files hold."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))


def state_dict() -> dict[str, torch.Tensor]:
    return small_network().state_dict()


def training() -> dict[str, Any]:
    """A checkpoint of a training in torch, after one step."""
    network = nn.DataParallel(small_network())
    optimizer = torch.optim.Adam(network.parameters())
    network.module(torch.ones(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "best": torch.tensor(0.5),
        "state_dict": network.state_dict(),
        "ema": state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }


def all_dtypes() -> dict[str, torch.Tensor]:
    """One tensor of every kind of number that torch saves."""
    numbers = torch.tensor([[0.0, 1.0], [-2.0, 0.5]])
    dtypes = (
        *(torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.complex64, torch.complex128),
    )
    unsigned = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)
    return {
        **{str(dtype).removeprefix("torch."): numbers.to(dtype) for dtype in dtypes},
        **{str(dtype).removeprefix("torch."): numbers.abs().to(dtype) for dtype in unsigned},
        **quantized(numbers),
    }


def quantized(numbers: torch.Tensor) -> dict[str, torch.Tensor]:
    """The numbers (2, n) in steps of ½, and of ½ and ¼."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will not make them for ever, but files hold them
        steps, zeros = torch.tensor([0.5, 0.25]), torch.tensor([0, 0])
        return {
            "per_tensor": torch.quantize_per_tensor(numbers, 0.5, 1, torch.quint8),
            "per_channel": torch.quantize_per_channel(numbers, steps, zeros, 0, torch.qint8),
        }


def strange_tensors() -> dict[str, torch.Tensor]:
    """Tensors that are sound, but not what a program expects that has only seen weights."""
    base = torch.arange(24.0).reshape(4, 6)
    with_attribute = torch.ones(2)
    with_attribute.detach = "hidden"  # type: ignore[assignment,method-assign]
    return {
        "number": torch.tensor(7.0),
        "five": torch.zeros(2, 1, 2, 1, 2),
        "none": torch.zeros(0, 3),
        "whole": base,
        "shared": base[1:3],
        "transposed": base.T,
        "huge": torch.ones(1).expand(100_000, 100_000),
        "broken": torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0]),
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.empty(2, device="meta"),
        "parameter": nn.Parameter(torch.ones(2)),
        "with attribute": with_attribute,
    }


def endless() -> dict[str, Any]:
    """A dict that holds itself."""
    whole: dict[str, Any] = {"weight": torch.ones(2)}
    whole["self"] = [whole]
    return whole


# ---- how files are written


def zipped(document: object, **settings: Any) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch itself uses
        torch.save(document, data, **settings)
    return data.getvalue()


def legacy(document: object) -> bytes:
    return zipped(document, _use_new_zipfile_serialization=False)


def rezipped(
    data: bytes,
    change: Callable[[str, bytes], bytes | None] = lambda _, contents: contents,
    more: Mapping[str, bytes] = MappingProxyType({}),
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip file with its parts changed, left out (None) or more of them."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w", compression) as new:
        for name in old.namelist():
            contents = change(name, old.read(name))
            if contents is not None:
                new.writestr(name, contents)
        for name, contents in more.items():
            new.writestr(name, contents)
    return result.getvalue()


def zip_of(parts: Mapping[str, bytes]) -> bytes:
    return rezipped(b"PK\5\6" + bytes(18), more=parts)


def with_pickle(pickled: bytes) -> bytes:
    """A zip file of torch whose pickle is this one; its storage "0" holds 4 bytes."""
    return rezipped(
        zipped({"a": torch.ones(1)}), lambda name, contents: pickled if name.endswith("data.pkl") else contents
    )


def legacy_with_pickle(pickled: bytes, keys: object = ("0",)) -> bytes:
    """An unzipped file of torch whose fourth pickle is this one."""
    magic, version, system = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    before = b"".join(pickle.dumps(part, 2) for part in (magic, version, system))
    return before + pickled + pickle.dumps(keys, 2)


def safetensors_of(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int, end: int, shape: tuple[int, ...], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


class Evil:
    """What makes the marker file when it is unpickled."""

    def __init__(self, marker: Path, function: Callable[..., Any] = os.system) -> None:
        self._call = function, (f"touch {marker}",) if function is os.system else (str(marker), "w")

    def __reduce__(self) -> Any:
        return self._call


def evil(make: Callable[[object], bytes], function: Callable[..., Any] = os.system) -> Callable[[Path], object]:
    """Write a file that, followed, makes the marker beside it."""
    return lambda path: path.write_bytes(make({"weight": torch.ones(1), "x": Evil(path.parent / MARKER, function)}))


def bare(protocol: int) -> Callable[[object], bytes]:
    def make(document: object) -> bytes:
        assert isinstance(document, dict)
        return pickle.dumps(document["x"], protocol)

    return make


def holding(data: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data() if callable(data) else data)


def a_picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "PNG")
    return data.getvalue()


def an_array(write: Callable[..., None]) -> bytes:
    data = io.BytesIO()
    write(data, np.ones(3))
    return data.getvalue()


def a_tar(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return data.getvalue()


# ---- pickles no program writes


def storage(count: int, kind: bytes = b"FloatStorage") -> bytes:
    """Instructions that leave the storage "0" with so many numbers."""
    return b"(X\7\0\0\0storagectorch\n" + kind + b"\nX\1\0\0\x000X\3\0\0\0cpu" + number(count) + b"tQ"


def number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def tensor(count: int, size: int, stride: int = 1, offset: int = 0) -> bytes:
    """Instructions that leave a tensor (size,) in the storage "0" with `count` numbers."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage(count)
        + number(offset)
        + number(size)
        + b"\x85"
        + number(stride)
        + b"\x85\x89ccollections\nOrderedDict\n)RtR"
    )


def in_dict(*value: bytes) -> bytes:
    """A whole pickle: a dict with what these instructions leave."""
    return b"\x80\x02}X\1\0\0\0a" + b"".join(value) + b"s."


def doubled(times: int, first: bytes, step: bytes) -> bytes:
    """Instructions that use a value twice to make the next, again and again."""
    return first + b"".join(b"q\0h\0" + step for _ in range(times))


TUPLE_BOMB = b"\x80\x02}" + doubled(80, b")", b"\x86") + b"Ns."
LIST_BOMB = doubled(60, b"]", b"\x86")
HEX_BOMB = b"X\1\0\0\0x" + b"".join(b"q\1c_codecs\nencode\nq\2h\1X\3\0\0\0hex\x86R" for _ in range(40))


def deep(depth: int) -> bytes:
    """A dict in a dict in a dict, and a tensor in the innermost."""
    return b"\x80\x02" + b"}X\1\0\0\0a" * depth + tensor(1, 1) + b"s" * depth + b"."


def malformed_sparse() -> bytes:
    """A sparse matrix 3×3 with an entry in row 1 000 000."""
    indices = torch.tensor([[1_000_000], [0]])
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        return zipped({"a": torch.sparse_coo_tensor(indices, torch.ones(1), (3, 3), check_invariants=False)})


def overlapping() -> bytes:
    """A zip file two of whose parts are the same bytes."""
    data = bytearray(zip_of({"a/data/0": bytes(10_000), "a/data/1": bytes(10_000), "a/data.pkl": b"N."}))
    second = data.rfind(b"PK\1\2", 0, data.rfind(b"PK\1\2"))
    struct.pack_into("<I", data, second + 42, 0)  # where the second part begins
    return bytes(data)


def claiming(size: int) -> bytes:
    """A zip file with a part that claims this size."""
    data = bytearray(zip_of({"a/data.pkl": b"N."}))
    directory = data.rfind(b"PK\1\2")
    struct.pack_into("<II", data, directory + 20, size, size)
    return bytes(data)


def with_wrong_sum() -> bytes:
    data = bytearray(zipped({"a": torch.arange(1000.0)}))
    data[data.rfind(struct.pack("<f", 999.0))] ^= 1
    return bytes(data)


def cut(make: Callable[[Any], bytes], part: float) -> Callable[[Path], object]:
    """Write only this part of a file."""

    def write(path: Path) -> None:
        data = make(state_dict())
        path.write_bytes(data[: int(len(data) * part)])

    return write


def unreadable(path: Path) -> None:
    path.write_bytes(zipped(state_dict()))
    path.chmod(0)


WHOLE_MODULE = "is a whole pickled module (class torch.nn.modules.container.Sequential)"
OBJECT = "holds a Python object"
SYSTEM = f"{OBJECT} ({os.system.__module__}.system)"
CUT_SHORT = "is cut short"
DAMAGED = "is damaged"
NOT_TORCHS = "is not put together as PyTorch does it"
TOO_MUCH = "has too many parts"

SOUND = [
    Case("weights.pt", holding(lambda: zipped(state_dict()))),
    Case("legacy.pth", holding(lambda: legacy(state_dict()))),
    Case("weights.safetensors", holding(lambda: save(state_dict()))),
    Case("zipped.safetensors", holding(lambda: zipped(state_dict()))),
    Case("safe.bin", holding(lambda: save(state_dict()))),
    Case("training.tar", holding(lambda: zipped(training()))),
    Case("legacy training.th", holding(lambda: legacy(training()))),
    Case("dtypes.ckpt", holding(lambda: zipped(all_dtypes()))),
    Case("strange.t7", holding(lambda: zipped(strange_tensors()))),
    Case("names.pt", holding(lambda: zipped({name: torch.ones(1) for name in ODD_NAMES}))),
    Case("one tensor.pt", holding(lambda: zipped(torch.ones(2)))),
    Case("list.pt", holding(lambda: zipped([torch.ones(2), (torch.ones(3),)]))),
    Case("endless.pt", holding(lambda: zipped(endless()))),
    Case("deep.pt", holding(lambda: with_pickle(deep(DEPTH)))),
    Case("another architecture.pt", holding(lambda: zipped({"a.weight": torch.ones(7, 5), "b.weight": torch.ones(3)}))),
]

MISTAKEN = [
    Case("nothing.pt", lambda path: None, "There is no file"),
    Case("empty.pt", holding(b""), "is empty"),
    Case("folder.pt", lambda path: path.mkdir(), "is a folder"),
    Case("link.pt", lambda path: path.symlink_to("nowhere"), "is a link to a file that does not exist: nowhere"),
    Case("unreadable.pt", unreadable, "may not be read by you"),
    Case("text.pt", holding("Die Gewichte sind größer\n".encode()), "is a text"),
    Case("json.pt", holding(b' {"weight": [1, 2]}'), "is a JSON text"),
    Case("page.pt", holding(b"\n<!DOCTYPE html><title>404</title>"), "is a web page"),
    Case("lfs.pt", holding(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "Git LFS pointer"),
    Case("picture.pt", holding(a_picture), "is a picture"),
    Case("array.pt", holding(lambda: an_array(np.save)), "is a NumPy array"),
    Case("arrays.pt", holding(lambda: an_array(np.savez)), "is an archive of NumPy arrays"),
    Case("keras.h5", holding(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file"),
    Case("keras.keras", holding(lambda: zip_of({"config.json": b"{}", "model.weights.h5": b""})), "is a Keras model"),
    Case("onnx.pt", holding(b"\x08\x08\x12\x07pytorch\x1a\x012"), "is an ONNX model"),
    Case("tensorflow.pb", holding(b"\x08\x01\x12\x99\x01\n\x10"), "is a model of TensorFlow"),
    Case("lite.pt", holding(b"\x1c\0\0\0TFL3" + bytes(9)), "is a model of TensorFlow"),
    Case("tensorflow.index", holding(b"\0\0\1" + bytes(99) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"), "of TensorFlow"),
    Case("language.gguf", holding(b"GGUF\3\0\0\0" + bytes(99)), "is a GGUF file"),
    Case("lua.t7", holding(b"\4\0\0\0\1\0\0\0\3\0\0\0V 1"), "is a file of Lua Torch 7"),
    Case("letter.docx", holding(lambda: zip_of({"[Content_Types].xml": b"<a/>"})), "is an office document"),
    Case("archive.pt", holding(lambda: zip_of({"a/weights.pt": b"x"})), "is a zip archive of other files"),
    Case("archive.gz", holding(lambda: gzip.compress(b"x")), "is a compressed archive"),
    Case("archive.tar", holding(lambda: a_tar("weights.pt")), "is a tar archive"),
    Case("of 2016.tar", holding(lambda: a_tar("sys_info", "pickle", "tensors", "storages")), "by a PyTorch of 2016"),
    Case("random.pt", holding(bytes(range(200, 256)) * 9), "is of no kind that is known"),
    Case("numbers.pt", holding(lambda: zipped({"epoch": 3})), "holds no tensors"),
    Case("pickled numbers.pt", holding(pickle.dumps({"epoch": 3}, 2)), "is a pickle that holds no tensors"),
    Case("script.pt", holding(lambda: zip_of({"m/data.pkl": b"N.", "m/constants.pkl": b"N."})), "is a TorchScript"),
    Case("script code.pt", holding(lambda: zip_of({"m/data.pkl": b"N.", "m/code/a.x": b""})), "is a TorchScript"),
    Case("package.pt", holding(lambda: zip_of({"m/data.pkl": b"N.", "m/a.py": b""})), "holds program code"),
    Case("exported.pt2", holding(lambda: zip_of({"m/archive_format": b"pt2"})), "is a program exported"),
    Case("module.pt", holding(lambda: zipped(small_network())), WHOLE_MODULE),
    Case("legacy module.pt", holding(lambda: legacy({"model": small_network()})), WHOLE_MODULE),
    Case("pickled module.pkl", holding(lambda: pickle.dumps(small_network())), WHOLE_MODULE),
    Case("arrays.pkl", holding(lambda: pickle.dumps({"weight": np.ones(2)}, 4)), f"{OBJECT} (numpy"),
    Case("protocol.pt", holding(lambda: zipped(state_dict(), pickle_protocol=4)), "with another protocol"),
]

BROKEN = [
    *(
        Case(f"cut at {part}{end}", cut(make, part), CUT_SHORT)
        for make, end in ((zipped, ".pt"), (legacy, ".pth"), (save, ".safetensors"))
        for part in (0.3, 0.6, 0.99)
    ),
    Case("wrong sum.pt", holding(with_wrong_sum), DAMAGED),
    Case(
        "short record.pt",
        holding(
            lambda: rezipped(zipped({"a": torch.ones(9)}), lambda name, data: data[:9] if "/data/" in name else data)
        ),
        DAMAGED,
    ),
    Case(
        "missing record.pt",
        holding(lambda: rezipped(zipped(state_dict()), lambda name, data: None if name.endswith("/data/0") else data)),
        DAMAGED,
    ),
    Case("junk after.pt", holding(lambda: zipped(state_dict()) + b"junk"), CUT_SHORT),
    Case("junk before.pt", holding(lambda: b"PK\3\4" + zipped(state_dict())), DAMAGED),
    Case("claims much.pt", holding(lambda: claiming(1 << 30)), "claims to hold more than its size"),
    Case("twice.pt", holding(lambda: rezipped(zipped({}), more={"ARCHIVE/data.pkl": b""})), "one name"),
    Case("two roots.pt", holding(lambda: rezipped(zipped({}), more={"other/a": b""})), NOT_TORCHS),
    Case("no pickle.pt", holding(lambda: with_pickle(b"not a pickle")), NOT_TORCHS),
    Case("no dict.pt", holding(lambda: with_pickle(b"\x80\x02Ns.")), NOT_TORCHS),
    Case("long header.safetensors", holding(safetensors_of({}, length=1 << 60)), DAMAGED),
    Case("much.safetensors", holding(lambda: safetensors_of({"a": entry(0, 4, (1,))}, length=1 << 30)), TOO_MUCH),
    Case("half a header.safetensors", holding(safetensors_of({"a": entry(0, 4, (1,))}, length=999)), CUT_SHORT),
    Case("no json.safetensors", holding(safetensors_of(b'{"a": oops}')), DAMAGED),
    Case("nested json.safetensors", holding(safetensors_of(b'{"a":' * 100_000)), DAMAGED),
    Case("outside.safetensors", holding(safetensors_of({"a": entry(0, 8, (2,))}, bytes(4))), CUT_SHORT),
    *(
        Case(f"{name}.safetensors", holding(safetensors_of(header, bytes(12))), DAMAGED)
        for name, header in {
            "overlap": {"a": entry(0, 8, (2,)), "b": entry(4, 12, (2,))},
            "hole": {"a": entry(0, 4, (1,)), "b": entry(8, 12, (1,))},
            "surplus": {"a": entry(0, 4, (1,))},
            "another size": {"a": entry(0, 12, (4,))},
            "backwards": {"a": entry(12, 0, (3,))},
            "negative": {"a": entry(0, 12, (-3,))},
            "endless shape": {"a": entry(0, 12, (1 << 62, 8))},
            "unknown type": {"a": entry(0, 12, (3,), "X32")},
            "no list": {"a": 3},
        }.items()
    ),
]

HOSTILE = [
    Case("system.pt", evil(zipped), SYSTEM),
    Case("system.pth", evil(legacy), SYSTEM),
    Case("open.pt", evil(zipped, open), OBJECT),
    Case("open.pth", evil(legacy, open), OBJECT),
    *(Case(f"system {protocol}.pkl", evil(bare(protocol)), SYSTEM) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    *(Case(f"open {protocol}.pkl", evil(bare(protocol), open), OBJECT) for protocol in (0, 2, 4)),
    Case(
        "eval.pt",
        holding(lambda: with_pickle(b"c__builtin__\neval\nX\4\0\0\x00exit\x85R.")),
        f"{OBJECT} (builtins.eval)",
    ),
    Case("escape.pt", holding(lambda: with_pickle(b"ca\x1b[31m\nb\n.")), f"{OBJECT} (a‹U+001B›[31m.b)"),
    Case(
        "bomb.pt",
        holding(lambda: rezipped(zipped({"a": torch.zeros(1 << 22)}), compression=zipfile.ZIP_DEFLATED)),
        "holds compressed parts",
    ),
    Case("overlapping.pt", holding(overlapping), DAMAGED),
    Case("tuples.pt", holding(lambda: with_pickle(TUPLE_BOMB)), TOO_MUCH),
    Case("encoded.pt", holding(lambda: with_pickle(in_dict(HEX_BOMB))), NOT_TORCHS),
    Case(
        "bytes.pt",
        holding(lambda: with_pickle(in_dict(b"cbuiltins\nbytearray\n", number(1 << 40), b"\x85R"))),
        NOT_TORCHS,
    ),
    Case("instructions.pt", holding(lambda: with_pickle(b"\x80\x02" + b"N" * 3_000_000 + b".")), TOO_MUCH),
    Case("memo.pt", holding(lambda: with_pickle(in_dict(b"Nr\xff\xff\xff\x7f"))), "holds no tensors"),
    Case(
        "storage.pt",
        holding(lambda: with_pickle(in_dict(b"ctorch.storage\nUntypedStorage\n", number(1 << 40), b"\x85R"))),
        NOT_TORCHS,
    ),
    Case("beyond.pt", holding(lambda: with_pickle(in_dict(tensor(1, 2)))), NOT_TORCHS),
    Case("far beyond.pth", holding(lambda: legacy_with_pickle(in_dict(tensor(1, 1 << 36)))), NOT_TORCHS),
    Case("negative.pt", holding(lambda: with_pickle(in_dict(tensor(1, 1, -1)))), NOT_TORCHS),
    Case("much.pth", holding(lambda: legacy_with_pickle(in_dict(tensor(1 << 36, 1)))), CUT_SHORT),
    Case("endless.pth", holding(lambda: legacy_with_pickle(in_dict(tensor(1 << 61, 1)))), CUT_SHORT),
    Case("keys.pth", holding(lambda: legacy_with_pickle(in_dict(tensor(1, 1)), [["0"]])), DAMAGED),
    Case("unread.pth", holding(lambda: legacy_with_pickle(in_dict(tensor(1 << 20, 1)), ())), DAMAGED),
    Case(
        "scales.pt",
        holding(
            lambda: with_pickle(
                in_dict(
                    b"ctorch._utils\n_rebuild_qtensor\n(",
                    storage(4, b"QInt8Storage"),
                    number(0),
                    number(4),
                    b"\x85",
                    number(1),
                    b"\x85(ctorch\nper_channel_affine\n",
                    LIST_BOMB,
                    LIST_BOMB,
                    number(0),
                    b"t\x89ccollections\nOrderedDict\n)RtR",
                )
            )
        ),
        NOT_TORCHS,
    ),
    Case(
        "hidden methods.pt",
        holding(lambda: with_pickle(b"\x80\x02ccollections\nOrderedDict\n)R}X\5\0\0\0itemsNsb.")),
        NOT_TORCHS,
    ),
    Case("sparse.pt", holding(malformed_sparse), DAMAGED),
]

if hasattr(os, "mkfifo"):
    MISTAKEN.append(Case("pipe.pt", os.mkfifo, "is a pipe or a device"))

CASES = [*SOUND, *MISTAKEN, *BROKEN, *HOSTILE]

if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
