"""What all benchmarks share: how times are summed up, how a result is held against its targets, on what it ran."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Result = dict[str, Any]
"""Figures by name; ``targets``, where there are any, says which of them were met."""

PACKAGES = ("numpy", "PySide6-Essentials", "pyqtgraph", "torch")


def summed_up(seconds: Sequence[float]) -> Result:
    """Return count, median, 99th percentile and maximum, in milliseconds."""
    return {
        "count": len(seconds),
        "median_ms": 1000 * statistics.median(seconds),
        "p99_ms": 1000 * float(np.percentile(seconds, 99)),
        "max_ms": 1000 * max(seconds),
    }


def judged(
    result: Result, at_most: Mapping[str, float] | None = None, at_least: Mapping[str, float] | None = None
) -> Result:
    """Return the result with its targets and whether it meets them."""
    targets = {key: {"at_most": limit, "passed": result[key] <= limit} for key, limit in (at_most or {}).items()}
    targets |= {key: {"at_least": limit, "passed": result[key] >= limit} for key, limit in (at_least or {}).items()}
    return result | {"targets": targets}


def missed(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Return the names of the targets that were not met: group, benchmark, figure."""
    return [
        f"{group}: {name}: {key}"
        for group, benchmarks in results.items()
        for name, result in benchmarks.items()
        for key, target in result.get("targets", {}).items()
        if not target["passed"]
    ]


def machine() -> Result:
    """Return the facts about this machine that the figures depend on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "qt_platform": os.environ.get("QT_QPA_PLATFORM"),
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
