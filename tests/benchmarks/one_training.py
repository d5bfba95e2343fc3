"""One training in a process of its own, which `bench_train` runs as a program.

``python -m tests.benchmarks.one_training KIND DATA MODEL BATCH_SIZE`` reads requests from stdin, one a line: a number
of batches to be done, or "accuracy" for the share of the test pictures that are recognised. Each is answered by a line
of JSON on stdout, with the most memory that the process has held. Between requests nothing is trained.

Modules are imported where they are needed, so that each process holds only its own.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.report import Result

Answer = Callable[[str], Result]


@contextmanager
def opened(kind: str, data: str, model: str, batch_size: int, folder: Path) -> Iterator[Answer]:
    """Make one of the trainings, which has a folder to itself, and yield what answers requests.

    "window" is the application's Train page; "nothing" holds the pictures, torch and an optimizer, for which torch
    loads a quarter more of itself, and trains nothing; the others are `loops`.
    """
    if kind == "tutorial":
        import torch  # before convviz.nn, which sets how long torch's threads wait for work
    if kind == "window":
        from convviz.startup import require_qt

        require_qt()  # as the application does
        from tests.benchmarks.window_training import window_training

        with window_training(data, model, batch_size, folder) as training:
            yield lambda request: training.do(int(request))
        return
    from convviz.nn.data import load_dataset
    from tests.nn.steps import result_of

    dataset = result_of(load_dataset(data))
    if kind == "nothing":
        import torch

        imported_mb = memory_mb()
        torch.optim.SGD([torch.zeros(1, requires_grad=True)])
        yield lambda _: {"imported_mb": imported_mb}
        return
    from tests.benchmarks import loops

    match kind:
        case "trainer":
            yield loops.trainer_loop(model, dataset, batch_size).answer
        case "prepared":
            yield loops.prepared_loop(model, dataset, batch_size).answer
        case "tutorial":
            yield loops.tutorial_loop(model, dataset, batch_size).answer
        case "terminal":
            yield loops.terminal_loop(model, dataset, batch_size, folder / "run").answer


def memory_mb() -> float | None:
    """Return the most memory that this process has held at once, in units of 10⁶ bytes; None except on Linux.

    `resource.getrusage` would count the process that has started this one, too.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def main(kind: str, data: str, model: str, batch_size: str) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(kind, data, model, int(batch_size), Path(folder)) as answer,
    ):
        for request in sys.stdin:
            print(json.dumps(answer(request.strip()) | {"memory_mb": memory_mb()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
