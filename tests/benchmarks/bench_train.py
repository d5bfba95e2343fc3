"""How fast networks are trained: beside prepared batches, beside the loop of PyTorch's tutorial, with the window open.

The pictures are meant to be CIFAR-10 as a folder of JPEG files. Each training has a process to itself, as the
application sets how long torch's threads wait and the tutorial does not. Two that are compared take turns: while one
trains, the other stands still.
"""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from convviz.nn.data import Dataset, load_dataset
from convviz.nn.settings import RECOMMENDED
from tests.benchmarks.bench_start import ROOT
from tests.benchmarks.report import Result, judged, summed_up
from tests.nn.steps import result_of

SMALL, FAST = "small_cnn", "fast_cnn"
BATCH_SIZE = RECOMMENDED[SMALL].batch_size

UNCOUNTED = 10
"""Batches before each round, which also use up what the tutorial's workers have read ahead."""
ROUND = 12_800
"""Pictures a round."""
SLOW_ROUND = 3_200
"""The like for batches of 4."""

LIMIT_RATIO = 0.9
TUTORIAL_RATIOS = {4: 2.0, 128: 1.8}
WINDOW_RATIO, LATE_MS, MEMORY_RATIO = 0.9, 25.0, 1.3

TUTORIAL_BATCH_SIZE, TUTORIAL_EPOCHS = 4, 6
"""How the tutorial trains, and when it is given up."""
LOOKS_PER_EPOCH = 4
SOME_ACCURACY, TIME_RATIO = 0.6, 0.1
SMALL_ACCURACY = 0.68
FAST_ACCURACY, FAST_SECONDS = 0.85, 15 * 60.0

Ask = Callable[[object], Result]
"""Sends a training a request and returns its answer."""


@contextmanager
def training(kind: str, data: str, batch_size: int = BATCH_SIZE, model: str = SMALL) -> Iterator[Ask]:
    """Start one of the trainings that `one_training` knows."""
    command = [sys.executable, "-m", "tests.benchmarks.one_training", kind, data, model, str(batch_size)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None

        def ask(request: object) -> Result:
            print(request, file=requests, flush=True)
            answer = answers.readline()
            if not answer:
                raise RuntimeError(f"the training “{kind}” has ended")
            result: Result = json.loads(answer)
            return result

        yield ask


# ---- speed


def in_turns(kinds: tuple[str, str], data: str, batch_size: int, num_batches: int, rounds: int) -> list[list[Result]]:
    """Let two trainings do so many batches in turns; return what each answered, round by round."""
    with training(kinds[0], data, batch_size) as ours, training(kinds[1], data, batch_size) as theirs:
        answers: list[list[Result]] = [[], []]
        for _ in range(rounds):
            for ask, its_answers in zip((ours, theirs), answers, strict=True):
                ask(UNCOUNTED)
                its_answers.append(ask(num_batches))
    return answers


def speeds(kinds: tuple[str, str], batch_size: int, answers: list[list[Result]]) -> Result:
    """Return the median speed of both, and the median of the rounds' ratios, which the machine's moods touch least."""
    ours, theirs = ([batch_size * each["batches"] / each["seconds"] for each in of_one] for of_one in answers)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "rounds": len(ratios),
        f"{kinds[0]}_images_per_second": statistics.median(ours),
        f"{kinds[1]}_images_per_second": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "least_ratio": min(ratios),
        "greatest_ratio": max(ratios),
    }


def compared(kinds: tuple[str, str], data: str, batch_size: int, num_batches: int, rounds: int) -> Result:
    return speeds(kinds, batch_size, in_turns(kinds, data, batch_size, num_batches, rounds))


def limits(data: str, rounds: int = 31) -> dict[str, Result]:
    """The trainer beside the same computation on batches prepared beforehand."""
    results = {}
    for batch_size in (64, 256):
        result = compared(("trainer", "prepared"), data, batch_size, ROUND // batch_size, rounds)
        results[f"batch {batch_size}, beside prepared batches"] = judged(result, at_least={"ratio": LIMIT_RATIO})
    return results


def tutorials(data: str, rounds: int = 7) -> dict[str, Result]:
    """The trainer with the application's defaults beside the tutorial's loop."""
    results = {}
    for batch_size, ratio in TUTORIAL_RATIOS.items():
        num_batches = (SLOW_ROUND if batch_size == TUTORIAL_BATCH_SIZE else ROUND) // batch_size
        result = compared(("trainer", "tutorial"), data, batch_size, num_batches, rounds)
        results[f"batch {batch_size}, beside the tutorial's loop"] = judged(result, at_least={"ratio": ratio})
    return results


def windows(data: str, epoch: int, pairs: int = 3, rounds: int = 25) -> dict[str, Result]:
    """The training in the open window beside ``convviz train``, and its memory beside torch and the pictures alone.

    A round is an eighth of an epoch, so short that both meet the machine in the same mood. Several pairs of processes
    take part, each at other places in memory.
    """
    kinds = ("window", "terminal")
    in_window, in_terminal = list[Result](), list[Result]()
    for _ in range(pairs):
        ours, theirs = in_turns(kinds, data, BATCH_SIZE, max(1, epoch // 8), rounds)
        in_window += ours
        in_terminal += theirs
    seconds = sum(answer["seconds"] for answer in in_window)
    late = summed_up(list(chain.from_iterable(answer["late"] for answer in in_window)))
    speed = speeds(kinds, BATCH_SIZE, [in_window, in_terminal]) | {
        "painted_per_second": sum(answer["painted"] for answer in in_window) / seconds,
        "looked_per_second": sum(answer["looked"] for answer in in_window) / seconds,
        **{f"late_{name}": value for name, value in late.items()},
    }
    name = f"batch {BATCH_SIZE}, the window open"
    results = {name: judged(speed, at_least={"ratio": WINDOW_RATIO}, at_most={"late_p99_ms": LATE_MS})}
    with training("nothing", data) as nothing:
        least = nothing(0)
    if least["memory_mb"] is not None:
        results[f"{name}, memory"] = memory(in_window[-1]["memory_mb"], least)
    return results


def memory(window_mb: float, least: Result) -> Result:
    """Return the window's memory beside that of a process with the pictures, torch and an optimizer."""
    result = {
        "window_mb": window_mb,
        "torch_and_pictures_mb": least["memory_mb"],
        "ratio": window_mb / least["memory_mb"],
        "without_optimizer_mb": least["imported_mb"],
    }
    return judged(result, at_most={"ratio": MEMORY_RATIO})


def train(data: str) -> dict[str, Result]:
    """All that is measured in rounds, a few minutes."""
    epoch = batches_of(pictures(data), BATCH_SIZE)
    return limits(data) | tutorials(data) | windows(data, epoch)


# ---- learning


def learned(ask: Ask, num_batches: int, looks: int, until: float = math.inf) -> list[tuple[float, float]]:
    """Train until an accuracy is reached; return the seconds of training and the accuracy at each look.

    The clock stands still while the test pictures are looked at.
    """
    seconds, seen = 0.0, []
    for _ in range(looks):
        seconds += ask(num_batches)["seconds"]
        seen.append((seconds, ask("accuracy")["accuracy"]))
        if seen[-1][1] >= until:
            break
    return seen


def learning(data: str) -> dict[str, Result]:
    """What the small CNN reaches at its defaults, and how soon it reaches less, beside the tutorial's loop at batch 4.

    The tutorial's loop is given up after some epochs; the ratio then says at most what it would have been.
    """
    dataset, epochs = pictures(data), RECOMMENDED[SMALL].epochs
    with training("trainer", data) as ours:
        quarter = math.ceil(batches_of(dataset, BATCH_SIZE) / LOOKS_PER_EPOCH)
        our_looks = learned(ours, quarter, epochs * LOOKS_PER_EPOCH)
    with training("tutorial", data, TUTORIAL_BATCH_SIZE) as theirs:
        quarter = math.ceil(batches_of(dataset, TUTORIAL_BATCH_SIZE) / LOOKS_PER_EPOCH)
        their_looks = learned(theirs, quarter, TUTORIAL_EPOCHS * LOOKS_PER_EPOCH, SOME_ACCURACY)
    our_seconds, our_accuracy = next((look for look in our_looks if look[1] >= SOME_ACCURACY), our_looks[-1])
    their_seconds, their_accuracy = their_looks[-1]
    soon = {
        "seconds": our_seconds,
        "accuracy": our_accuracy,
        "tutorial_seconds": their_seconds,
        "tutorial_accuracy": their_accuracy,
        "ratio": our_seconds / their_seconds,
    }
    seconds, accuracy = our_looks[-1]
    return {
        f"small CNN, {SOME_ACCURACY:.0%} beside the tutorial's loop": judged(
            soon, at_most={"ratio": TIME_RATIO}, at_least={"accuracy": SOME_ACCURACY}
        ),
        f"small CNN, {epochs} epochs": judged(
            {"seconds": seconds, "accuracy": accuracy}, at_least={"accuracy": SMALL_ACCURACY}
        ),
    }


def fast(data: str) -> dict[str, Result]:
    """What the fast CNN reaches at its defaults as ``convviz train`` trains it, with evaluations and checkpoints."""
    settings = RECOMMENDED[FAST]
    num_batches = settings.epochs * batches_of(pictures(data), settings.batch_size)
    with training("terminal", data, settings.batch_size, FAST) as ask:
        result = {"seconds": ask(num_batches + 1)["seconds"], "accuracy": ask("accuracy")["accuracy"]}
    targets = judged(result, at_most={"seconds": FAST_SECONDS}, at_least={"accuracy": FAST_ACCURACY})
    return {f"fast CNN, {settings.epochs} epochs": targets}


def pictures(data: str) -> Dataset:
    """Return the data set, decoded here if it never was, so that no training has to."""
    return result_of(load_dataset(data))


def batches_of(dataset: Dataset, batch_size: int) -> int:
    """Return the batches of an epoch."""
    return math.ceil(len(dataset.train) / batch_size)
