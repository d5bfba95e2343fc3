import subprocess
import sys
from pathlib import Path

import numpy as np
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot

from convviz.core.layers import Conv2d
from convviz.core.stack import Stack
from convviz.nn.effective_field import EffectiveField
from convviz.ui.jobs import JobRunner, JobThread
from convviz.ui.lab.effective import NUM_INPUTS, effective_job

STACK = Stack((1, 4, 4), [Conv2d(1, 1, 3, weight=np.ones((1, 1, 3, 3)))])

TORCH_COMES_WITH_THE_JOB = """
import sys
import numpy as np
from convviz.core.control import StopToken
from convviz.core.elementwise import ReLU
from convviz.core.stack import Stack
from convviz.ui.lab.effective import effective_job

job = effective_job(Stack((1, 2, 2), [ReLU()]), 0, (0, 0, 0), np.ones((1, 2, 2)))
print("torch" in sys.modules)
job(StopToken())
print("torch" in sys.modules)
"""


def test_the_job_tells_its_progress_and_ends_with_the_field(qtbot: QtBot, qapp: QCoreApplication) -> None:
    runner = JobRunner()
    with qtbot.waitSignal(runner.succeeded, timeout=60_000) as signal:
        runner.start(effective_job(STACK, 0, (0, 1, 0), np.ones((1, 4, 4))))
    (field,) = signal.args
    assert isinstance(field, EffectiveField)
    assert field.done == field.total == NUM_INPUTS
    np.testing.assert_array_equal(field.heat, [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]])
    qtbot.waitUntil(lambda: qapp.findChildren(JobThread) == [], timeout=30_000)


def test_torch_comes_with_the_job_not_before() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TORCH_COMES_WITH_THE_JOB],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]
