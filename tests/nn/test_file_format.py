import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn import file_format
from convviz.nn.file_format import TooLargeError, examine, opened
from convviz.nn.source import result_of
from tests.nn.file_corpus import legacy, rezipped, state_dict, zipped

MOST = 1 << 20


def examined(path: Path, most_bytes: int = MOST, token: StopToken | None = None) -> str:
    with opened(path) as file:
        return result_of(examine(file, path, most_bytes, token))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (zipped(state_dict()), "PyTorch"),
        (legacy(state_dict()), "PyTorch (before 1.6)"),
        (save(state_dict()), "safetensors"),
    ],
    ids=["zip", "legacy", "safetensors"],
)
def test_the_contents_decide_not_the_name(tmp_path: Path, data: bytes, expected: str) -> None:
    for name in ("weights.pt", "weights.safetensors", "weights.txt", "weights"):
        (tmp_path / name).write_bytes(data)
        assert examined(tmp_path / name) == expected


@pytest.mark.parametrize("data", [zipped(state_dict()), legacy(state_dict()), save(state_dict())])
def test_more_memory_than_allowed_is_refused_until_the_user_allows_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    with pytest.raises(TooLargeError, match=r"a\.pt takes 0\.01 GB of memory, and 0 GB are allowed") as refused:
        examined(path, 100)
    assert examined(path, refused.value.num_bytes)


def test_what_needs_no_memory_is_named_even_if_it_is_huge(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        file.write(b"<html>")
        file.truncate(1 << 40)  # a hole
    with pytest.raises(RefusalError, match="is a web page"):
        examined(path)


def test_the_check_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(zipped(state_dict()))
    token = StopToken()
    token.request_stop()
    with pytest.raises(StoppedError):
        examined(tmp_path / "a.pt", token=token)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    monkeypatch.setattr(Path, "stat", lambda _: os.stat_result((stat.S_IFREG, *[0] * 9)))
    with pytest.raises(RefusalError, match="is a pipe or a device"), opened(tmp_path / "pipe.pt"):
        pass


def test_a_file_that_others_keep_to_themselves_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.pt").write_bytes(b"x")
    monkeypatch.setattr(os, "open", refuse)  # root may read anything
    with pytest.raises(RefusalError, match=r"a\.pt may not be read by you"), opened(tmp_path / "a.pt"):
        pass


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="cannot be read"), opened(tmp_path / ("x" * 5000)):
        pass


def test_names_of_files_are_shown_harmless(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\n.pt").write_bytes(b"")
    with pytest.raises(RefusalError, match=r"^a‹U\+001B›\[31m‹U\+000A›\.pt is empty\."):
        examined(tmp_path / "a\x1b[31m\n.pt")


def test_a_large_zip_file_is_read_by_its_second_directory(tmp_path: Path) -> None:
    """More than 65 535 parts are counted elsewhere."""
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        for index in range(1 << 16):
            archive.writestr(f"a/data/{index}", b"")
    assert examined(path, 1 << 30) == "PyTorch"
    data = path.read_bytes()
    path.write_bytes(data[:-42] + data[-40:])
    with pytest.raises(RefusalError, match="is damaged"):
        examined(path, 1 << 30)


def test_bounds_of_what_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_file, list_file = tmp_path / "a.pt", tmp_path / "b.safetensors"
    zip_file.write_bytes(zipped(state_dict()))
    list_file.write_bytes(save(state_dict()))
    for name, path in (("MOST_PICKLE", zip_file), ("MOST_DIRECTORY", zip_file), ("MOST_HEADER", list_file)):
        with monkeypatch.context() as patch:
            patch.setattr(file_format, name, 10)
            with pytest.raises(RefusalError, match="has too many parts"):
                examined(path)


def test_torch_is_not_needed() -> None:
    code = "import sys, convviz.nn.file_format; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == "False\n"


def test_a_list_of_tensors_may_have_the_length_of_another_signature(tmp_path: Path) -> None:
    """The first bytes of a safetensors file are a number, and any number is one."""
    path = tmp_path / "a.safetensors"
    onnx = int.from_bytes(b"\x08\x08\x12", "little")
    header = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'.ljust(onnx)
    path.write_bytes(onnx.to_bytes(8, "little") + header)
    assert examined(path, 1 << 30) == "safetensors"


@pytest.mark.parametrize("num_bytes", [0, 35, 36])
def test_a_storage_with_fewer_numbers_than_are_said_is_refused(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(
        rezipped(zipped({"a": torch.ones(9)}), lambda name, data: data[:num_bytes] if "/data/" in name else data)
    )
    if num_bytes == 36:
        assert examined(path) == "PyTorch"
    else:
        with pytest.raises(RefusalError, match="is damaged"):
            examined(path)
