"""How long the application takes from the start of its process to its first painted frame, beside a bare window."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.report import Result, judged

ROOT = Path(__file__).parents[2]
MOST_TIMES_BARE = 1.5


def start(pairs: int = 9) -> dict[str, Result]:
    """Start the application and the bare window in turns; the first pair, which fills the disk's cache, is left out."""
    _start_once("convviz")
    _start_once("bare")
    seconds = [(_start_once("convviz"), _start_once("bare")) for _ in range(pairs)]
    ours, bare = zip(*seconds, strict=True)
    result = {
        "count": pairs,
        "median_ms": 1000 * statistics.median(ours),
        "bare_median_ms": 1000 * statistics.median(bare),
        "ratio": statistics.median(a / b for a, b in seconds),
        "least_ms": 1000 * min(ours),
        "bare_least_ms": 1000 * min(bare),
    }
    return {"first frame, convviz beside a bare window": judged(result, at_most={"ratio": MOST_TIMES_BARE})}


def _start_once(window: str) -> float:
    """Return the seconds from before the process exists to its first painted frame, with settings never seen before."""
    with tempfile.TemporaryDirectory() as home:
        folders = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME"), home)
        begin = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.first_frame", window],
            cwd=ROOT,
            env={**os.environ, **folders},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    if ended.returncode:
        raise RuntimeError(f"{window} did not start: {ended.stderr}")
    said = json.loads(ended.stdout)
    if said["torch_imported"]:
        raise RuntimeError(f"{window}: torch was imported before the first frame")
    return float(said["painted"]) - begin
