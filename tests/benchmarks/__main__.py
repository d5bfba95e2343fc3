"""Run the benchmarks: ``python -m tests.benchmarks [--only NAME] [--platform PLATFORM]``.

One JSON document goes to stdout: the machine, the figures of each group with their targets, and the targets missed.
The exit code is 1 when a target was missed. Other work on the machine makes the figures worse, never better.
"""

import argparse
import json
import os
import sys

from tests.benchmarks.report import Result, machine, missed

# ruff: noqa: PLC0415 - a group's modules are imported when its turn comes: torch's threads must not disturb the window

GROUPS = ("start", "step", "edit", "play", "network", "stack", "mosaic", "plots", "core")


def measured(group: str) -> dict[str, Result]:
    """Return the figures of a group by benchmark."""
    if group == "core":
        from tests.benchmarks.bench_core import core

        return core()
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
    parser.add_argument("--only", choices=GROUPS, help="measure one group")
    parser.add_argument("--platform", default="offscreen", help="Qt platform, such as xcb (default: offscreen)")
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = options.platform
    facts = machine()
    results = {group: measured(group) for group in ([options.only] if options.only else GROUPS)}
    print(json.dumps({"machine": facts, "results": results, "missed": missed(results)}, ensure_ascii=False, indent=2))
    return 1 if missed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
