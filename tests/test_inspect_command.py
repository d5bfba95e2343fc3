import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from convviz.app import main
from tests.nn.file_corpus import LONG_NAME, MARKER, ODD_NAMES, Evil, state_dict, strange_tensors, zipped


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "weights.pt").write_bytes(zipped(state_dict()))
    return tmp_path / "weights.pt"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that ended with exit code 2."""
    assert main(["inspect", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def listed(capsys: pytest.CaptureFixture[str], path: Path) -> dict[str, Any]:
    assert main(["inspect", str(path), "--list", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    return document


def test_tensors_are_printed_in_columns(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(weights), "--list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["shape", "dtype", "kind", "min", "max", "mean", "std", "nan", "+", "inf", "name"]
    for line, (name, tensor) in zip(lines, state_dict().items(), strict=True):
        shape, dtype, kind, minimum, maximum, mean, std, broken, last = line.split()
        assert shape == ("×".join(map(str, tensor.shape)) or "()")
        assert (dtype, kind) == (str(tensor.dtype)[6:], "buffer" if "running" in name or "num" in name else "weight")
        expected = (tensor.min(), tensor.max(), tensor.double().mean())
        assert [minimum, maximum, mean] == [f"{float(number):.6g}" for number in expected]
        assert std == ("-" if tensor.numel() == 1 else f"{float(tensor.double().std()):.6g}")
        assert (broken, last) == ("0", name)


def test_tensors_are_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(zipped(strange_tensors()))
    document = listed(capsys, tmp_path / "a.pt")
    assert document["file"] == str(tmp_path / "a.pt")
    assert document["format"] == "PyTorch"
    tensors = {tensor["name"]: tensor for tensor in document["tensors"]}
    assert list(tensors) == list(strange_tensors())
    assert tensors["whole"] == {
        **{"name": "whole", "shape": [4, 6], "dtype": "float32", "kind": "weight"},
        **{"min": 0, "max": 23, "mean": 11.5, "std": pytest.approx(7.0710678), "zeros": 1, "nan": 0, "inf": 0},
    }
    assert (tensors["broken"]["nan"], tensors["broken"]["inf"], tensors["broken"]["std"]) == (1, 2, None)
    assert "40 GB" in tensors["huge"]["refused"]


def test_names_keep_to_their_line_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(zipped({name: torch.ones(2) for name in ODD_NAMES}))
    assert main(["inspect", str(tmp_path / "a.pt"), "--list"]) == 0
    out = capsys.readouterr().out
    head, *lines = out.split("\n")[:-1]
    assert len(lines) == len(ODD_NAMES)
    assert "\x1b" not in out
    assert "\u202e" not in out
    column = head.index("name")
    assert all(line[column - 3 : column] == "0  " for line in lines)
    assert [tensor["name"] for tensor in listed(capsys, tmp_path / "a.pt")["tensors"]] == list(ODD_NAMES)
    assert LONG_NAME[:100] in out


def test_a_terminal_without_the_letters_gets_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(zipped({"卷积核": torch.ones(2, 2)}))
    done = subprocess.run(
        [sys.executable, "-m", "convviz", "inspect", str(tmp_path / "a.pt"), "--list"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert r"\u5377\u79ef\u6838" in done.stdout


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evil.pt").write_bytes(zipped({"weight": Evil(tmp_path / MARKER)}))
    line = refusal(capsys, str(tmp_path / "evil.pt"), "--list")
    assert line.startswith("convviz: evil.pt holds a Python object")
    assert line.endswith("Ask its owner to save model.state_dict() instead.")
    assert not (tmp_path / MARKER).exists()


def test_the_window_does_not_open_for_what_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no file nothing.pt" in refusal(capsys, str(tmp_path / "nothing.pt"))
    assert "is a folder" in refusal(capsys, str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "FILE"),
        (["{}", "--json"], "--json and --memory go with --list"),
        (["{}", "--memory", "3"], "--json and --memory go with --list"),
        (["{}", "--list", "--memory", "much"], "'much' is not a number of gigabytes"),
        (["{}", "--list", "--memory", "nan"], "'nan' is not a number of gigabytes"),
        (["{}", "--list", "--memory", "-1"], "'-1' is not a number of gigabytes"),
        (["{}", "--list", "--memory", "1e-9"], "weights.pt takes 0.01 GB of memory, and 0 GB are allowed"),
    ],
)
def test_options_that_do_not_fit_are_named(
    weights: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in refusal(capsys, *(argument.format(weights) for argument in arguments))


def test_more_memory_is_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(zipped({"a": torch.ones(1).expand(2000, 1000)}))
    assert main(["inspect", str(tmp_path / "a.pt"), "--list", "--memory", "0.001"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[3] == "-"
    assert main(["inspect", str(tmp_path / "a.pt"), "--list", "--memory", "0.01"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[3] == "1"


@pytest.mark.skipif(sys.platform == "win32", reason="head is a command of Unix")
def test_who_reads_along_may_stop(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(zipped({str(index): torch.ones(1) for index in range(3000)}))
    command = f"'{sys.executable}' -m convviz inspect '{tmp_path / 'a.pt'}' --list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split()[0] == "shape"
    assert done.stderr == ""


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "--help"])
    out = capsys.readouterr().out
    assert all(word in out for word in ("FILE", "--list", "--json", "--memory"))
