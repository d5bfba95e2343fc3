"""Run the benchmarks: ``python -m tests.benchmarks [--only NAME] [--data FOLDER] [--platform PLATFORM]``.

One JSON document goes to stdout: the machine, the figures of each group with their targets, and the targets missed.
The exit code is 1 when a target was missed. Other work on the machine makes the figures worse, never better.

The groups that train need --data, a folder with CIFAR-10 as pictures (train/<class>/…, test/<class>/…), for which their
targets are meant. "train" takes minutes and is left out without --data; "learning" and "fast" take longer still and run
with --only.
"""

import argparse
import json
import os
import sys

from tests.benchmarks.report import Result, machine, missed

# ruff: noqa: PLC0415 - a group's modules are imported when its turn comes: torch's threads must not disturb the window

GROUPS = ("start", "step", "edit", "play", "network", "stack", "mosaic", "plots", "inspect", "core")
TRAINING = "train"
LONG = ("learning", "fast")
"""Each some ten minutes."""


def measured(group: str, data: str) -> dict[str, Result]:
    """Return the figures of a group by benchmark."""
    if group in (TRAINING, *LONG):
        from tests.benchmarks import bench_train

        return {"train": bench_train.train, "learning": bench_train.learning, "fast": bench_train.fast}[group](data)
    if group == "core":
        from tests.benchmarks.bench_core import core

        return core()
    if group == "inspect":
        from tests.benchmarks.bench_inspect import inspect

        return inspect()
    if group == "start":
        from tests.benchmarks.bench_start import start

        return start()
    from tests.benchmarks import bench_lab, bench_mosaic, bench_plots, bench_stack

    groups = {
        "step": bench_lab.steps,
        "edit": bench_lab.edits,
        "play": bench_lab.plays,
        "network": bench_lab.networks,
        "stack": bench_stack.stack,
        "mosaic": bench_mosaic.mosaics,
        "plots": bench_plots.plots,
    }
    return groups[group]()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure how fast convviz is.")
    parser.add_argument("--only", choices=(*GROUPS, TRAINING, *LONG), help="measure one group")
    parser.add_argument("--data", metavar="FOLDER", help="CIFAR-10 as pictures, for the groups that train")
    parser.add_argument("--platform", default="offscreen", help="Qt platform, such as xcb (default: offscreen)")
    options = parser.parse_args()
    if options.only in (TRAINING, *LONG) and options.data is None:
        parser.error(f"--only {options.only} needs --data")
    os.environ["QT_QPA_PLATFORM"] = options.platform
    facts = machine()
    groups = (options.only,) if options.only else (*GROUPS, *([TRAINING] if options.data else []))
    results = {group: measured(group, options.data) for group in groups}
    print(json.dumps({"machine": facts, "results": results, "missed": missed(results)}, ensure_ascii=False, indent=2))
    if options.only is None and options.data is None:
        print(f"The group “{TRAINING}” was left out: it needs --data.", file=sys.stderr)
    return 1 if missed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
