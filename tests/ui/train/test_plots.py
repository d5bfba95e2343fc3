import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent
from PySide6.QtGui import QAction, QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from convviz.nn import train
from convviz.nn.checkpoint import Change, EpochResult
from convviz.nn.run_folder import BATCH, BatchRows
from convviz.ui import theme
from convviz.ui.train.plots import MOST_EARLIER, SMOOTHING, RunPlots, loss_limit, smoothed
from convviz.ui.widgets.curves import CurvePlot
from convviz.ui.widgets.elided_label import ElidedLabel

PER_EPOCH = 100


def made_run(
    num_batches: int, losses: Sequence[float] | None = None, rate: float = 0.05
) -> tuple[BatchRows, list[EpochResult]]:
    """Return a run of two batches a second whose loss at step k is 200 / (100 + k), if not given."""
    batches = np.zeros(num_batches, BATCH)
    steps = np.arange(1, num_batches + 1)
    batches["step"], batches["epoch"], batches["seconds"] = steps, 1 + (steps - 1) // PER_EPOCH, steps / 2
    batches["loss"] = 200 / (100 + steps) if losses is None else losses
    batches["lr"], batches["momentum"], batches["grad_norm"] = rate, 0.9, 1.5
    epochs = [
        EpochResult(k, k * PER_EPOCH, k * PER_EPOCH / 2, 2 / k, 0.1 * k, 2.5 / k, 0.08 * k)
        for k in range(1, num_batches // PER_EPOCH + 1)
    ]
    return batches, epochs


@pytest.fixture
def plots(qtbot: QtBot, light: QApplication) -> RunPlots:
    plots = RunPlots()
    qtbot.addWidget(plots)
    plots.resize(900, 300)
    plots.show()
    return plots


def show(plots: RunPlots, num_batches: int, changes: Sequence[Change] = (), rate: float = 0.05) -> None:
    plots.show_run("run", *made_run(num_batches, rate=rate), changes, PER_EPOCH)


def both(plots: RunPlots) -> tuple[CurvePlot, CurvePlot]:
    loss, other = plots.findChildren(CurvePlot)
    return loss, other


def readings(plots: RunPlots) -> tuple[str, str]:
    loss, other = both(plots)
    return loss.reading, other.reading


def click(plots: RunPlots, name: str) -> None:
    (button,) = (one for one in plots.findChildren(QAbstractButton) if one.accessibleName() == name)
    button.click()


def menu_action(plots: RunPlots, text: str) -> QAction:
    (action,) = (one for one in plots.findChild(QMenu).actions() if one.text() == text)  # type: ignore[union-attr]
    return action


# ---- smoothing


def test_it_smooths_as_the_trainer_does() -> None:
    assert SMOOTHING == train.SMOOTHING


@given(values=st.lists(st.floats(-1e3, 1e3), max_size=700))
def test_the_smoothed_curve_is_the_average_that_the_trainer_keeps(values: list[float]) -> None:
    average, expected = 0.0, []
    for k, value in enumerate(values, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * value
        expected.append(average / (1 - SMOOTHING**k))
    np.testing.assert_allclose(smoothed(np.array(values)), expected, rtol=1e-9, atol=1e-9)


def test_smoothing_leaves_out_what_is_not_finite() -> None:
    values = np.array([1.0, math.nan, 3.0, math.inf])
    result = smoothed(values)
    np.testing.assert_allclose(result[[0, 2]], smoothed(np.array([1.0, 3.0])))
    np.testing.assert_array_equal(result[[1, 3]], values[[1, 3]])


def test_a_long_curve_is_smoothed_to_its_end() -> None:
    np.testing.assert_allclose(smoothed(np.full(40_000, 2.5)), 2.5)


def test_only_a_loss_that_runs_away_is_cut() -> None:
    falling = np.array([3.0, 4.0, 2.0, 1.0, 1.5, 1.2])
    assert loss_limit(falling, smoothed(falling)) == 8
    away = np.array([*falling, 1e3, 1e9, math.nan])
    assert loss_limit(away, smoothed(away)) == 8


# ---- what is shown


def test_an_empty_page_waits(plots: RunPlots) -> None:
    assert readings(plots) == ("", "")
    (more,) = (one for one in plots.findChildren(QAbstractButton) if one.accessibleName() == "More about the curves")
    assert not more.isEnabled()
    plots.show_run("run", np.zeros(0, BATCH), (), (), PER_EPOCH)
    plots.keep_run()
    assert not more.isEnabled()
    plots.grab()


def test_loss_and_accuracy_are_read_at_their_ends(plots: RunPlots) -> None:
    show(plots, 1)
    assert readings(plots) == ("epoch 0.01, train 1.98, test, batch 1.98", "train, test")
    show(plots, 250)
    average = smoothed(200 / (100 + np.arange(1, 251)))[-1]
    assert readings(plots) == (
        f"epoch 2.5, train {average:.3f}, test 1.25, batch 0.571",
        "epoch 2, train 20, test 16",
    )


def test_both_plots_are_read_at_one_place(plots: RunPlots) -> None:
    show(plots, 250)
    loss, other = both(plots)
    loss.read_at(1.5)
    assert loss.reading.startswith("epoch 1.5, ")
    assert loss.reading.endswith(", test 2.5, batch 0.8")
    assert other.reading == "epoch 1.5, train 10, test 8"
    other.read_at(1.9)
    assert loss.reading.startswith("epoch 2, ")
    QApplication.sendEvent(other, QEvent(QEvent.Type.Leave))
    assert loss.reading.startswith("epoch 2.5, ")


@pytest.mark.parametrize(
    ("axis", "loss", "accuracy"),
    [("Step", "step 250,", "step 200,"), ("Epoch", "epoch 2.5,", "epoch 2,"), ("Time", "time 2:05,", "time 1:40,")],
)
def test_the_axis_counts_steps_epochs_or_time(plots: RunPlots, axis: str, loss: str, accuracy: str) -> None:
    show(plots, 250)
    click(plots, axis)
    assert readings(plots)[0].startswith(loss)
    assert readings(plots)[1].startswith(accuracy)


def test_rate_or_gradient_in_place_of_the_accuracy(plots: RunPlots) -> None:
    show(plots, 250)
    click(plots, "Rate")
    assert both(plots)[1].accessibleName() == "Learning rate: epoch 2.5, rate 0.05"
    click(plots, "Gradient")
    assert both(plots)[1].accessibleName() == "Gradient norm: epoch 2.5, smoothed 1.5, batch 1.5"
    click(plots, "Accuracy")
    assert both(plots)[1].accessibleName() == "Accuracy %: epoch 2, train 20, test 16"


def test_a_logarithmic_loss_looks_different_and_reads_the_same(plots: RunPlots) -> None:
    show(plots, 250)
    before, linear = readings(plots), both(plots)[0].grab().toImage()
    click(plots, "Logarithmic loss")
    assert readings(plots) == before
    assert both(plots)[0].grab().toImage() != linear


def test_a_run_away_loss_leaves_the_rest_as_it_was(plots: RunPlots) -> None:
    losses = 200 / (100 + np.arange(1, 251))
    plots.show_run("run", *made_run(250, list(losses)), (), PER_EPOCH)
    calm = both(plots)[0].grab().toImage()
    losses[-3:] = 1e6, 1e30, math.nan
    plots.show_run("run", *made_run(250, list(losses)), (), PER_EPOCH)
    assert "batch 1e30" in readings(plots)[0]
    wild = both(plots)[0].grab().toImage()
    blue = plots.palette().highlight().color().rgb()

    def rows(image: QImage) -> list[int]:
        """Return where the smoothed curve lies in the left half."""
        return [y for y in range(52, 250) if any(image.pixel(x, y) == blue for x in range(60, 220))]

    assert max(rows(wild)) - min(rows(wild)) > 0.3 * (max(rows(calm)) - min(rows(calm)))


def test_changes_are_marked_in_both_plots(plots: RunPlots) -> None:
    changes = [Change(120, "lr", 0.01), Change(120, "momentum", 0.5), Change(200, "lr", 0.001)]
    for axis in ("Epoch", "Step", "Time"):
        click(plots, axis)
        show(plots, 250)
        before = [plot.grab().toImage() for plot in both(plots)]
        show(plots, 250, changes)
        assert all(plot.grab().toImage() != one for plot, one in zip(both(plots), before, strict=True))


# ---- earlier runs


def test_earlier_runs_stay_for_comparison(plots: RunPlots) -> None:
    for number in range(1, MOST_EARLIER + 3):
        plots.show_run(f"run {number}", *made_run(100 * number, rate=0.01 * number), (), PER_EPOCH)
        plots.keep_run()
    click(plots, "Rate")
    show(plots, 50)
    assert readings(plots)[1] == "epoch 0.5, rate 0.05, " + ", ".join(
        f"run {number} {0.01 * number:.2g}" for number in range(MOST_EARLIER + 2, 2, -1)
    )
    both(plots)[1].read_at(6.5)
    assert readings(plots)[1].endswith(", rate, run 7 0.07, run 6, run 5, run 4, run 3")
    click(plots, "Accuracy")
    both(plots)[1].read_at(6)
    assert readings(plots)[1] == "epoch 6, train, test, run 7 48, run 6 48, run 5, run 4, run 3"
    menu_action(plots, "Forget earlier runs").trigger()
    assert readings(plots)[1] == "train, test"
    both(plots)[0].read_at(None)
    assert readings(plots)[0].startswith("epoch 0.5, train ")


def test_clear_leaves_nothing(plots: RunPlots) -> None:
    blank = plots.grab().toImage()
    show(plots, 250)
    plots.keep_run()
    show(plots, 120)
    plots.clear()
    assert readings(plots) == ("", "")
    assert plots.grab().toImage() == blank


def test_an_earlier_run_of_many_batches_keeps_its_ends(plots: RunPlots) -> None:
    show(plots, 5000)
    end = readings(plots)[0].split(", ")[1].removeprefix("train ")
    plots.keep_run()
    assert readings(plots)[0] == f"epoch 50, run {end}"
    both(plots)[0].read_at(0)
    assert readings(plots)[0] == "epoch 0.01, run 1.98"


# ---- files


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What the file dialog answers, without a suffix."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "my curves"), ""))
    return tmp_path / "my curves"


def test_a_picture_of_twice_the_size_is_saved(qtbot: QtBot, plots: RunPlots, chosen: Path) -> None:
    show(plots, 250)
    with qtbot.waitSignal(plots.saver.said, check_params_cb=lambda text: text == f"Saved {chosen}.png."):
        menu_action(plots, "Save as PNG…").trigger()
    image = QImage(f"{chosen}.png")
    loss, other = both(plots)
    assert (image.width(), image.height()) == (2 * (loss.width() + other.width() + 24), 2 * (loss.height() + 16))
    blue, amber = plots.palette().highlight().color(), theme.colors(plots.palette()).window
    colors = {image.pixel(x, y) for x in range(image.width()) for y in range(110, image.height())}
    assert {blue.rgb(), amber.rgb(), theme.colors(plots.palette()).surface.rgb()} <= colors
    assert plots.saver.folder == chosen.parent


def test_a_drawing_without_pixels_is_saved(qtbot: QtBot, plots: RunPlots, chosen: Path) -> None:
    show(plots, 250, [Change(120, "lr", 0.01)])
    with qtbot.waitSignal(plots.saver.said):
        menu_action(plots, "Save as SVG…").trigger()
    text = Path(f"{chosen}.svg").read_text(encoding="utf-8")
    assert QSvgRenderer(f"{chosen}.svg").isValid()
    assert "<image" not in text
    for words in ("Loss", "Accuracy %", "rate 0.01", "test 1.25"):
        assert words in text


def test_all_numbers_are_saved_as_a_table(qtbot: QtBot, plots: RunPlots, chosen: Path) -> None:
    show(plots, 250)
    with qtbot.waitSignal(plots.saver.said):
        menu_action(plots, "Save as CSV…").trigger()
    note = plots.findChild(ElidedLabel)
    assert note is not None
    assert note.text == f"Saved {chosen}.csv."
    rows = list(csv.DictReader(io.StringIO(Path(f"{chosen}.csv").read_text(encoding="utf-8"))))
    batches, epochs = made_run(250)
    assert set(batches.dtype.names or ()) | {"test_accuracy", "smoothed_loss"} <= set(rows[0])
    of_batches = [row for row in rows if row["loss"]]
    of_epochs = [row for row in rows if row["test_loss"]]
    assert len(of_batches) + len(of_epochs) == len(rows) == 252
    assert [int(row["step"]) for row in rows] == sorted(int(row["step"]) for row in rows)
    for name in batches.dtype.names or ():
        np.testing.assert_allclose([float(row[name]) for row in of_batches], batches[name], rtol=1e-8)
    np.testing.assert_allclose(
        [float(row["smoothed_loss"]) for row in of_batches], smoothed(batches["loss"]), rtol=1e-8
    )
    assert [float(row["test_accuracy"]) for row in of_epochs] == [result.test_accuracy for result in epochs]
    assert rows[100] == of_epochs[0]


def test_the_table_of_a_kept_run_is_still_there(qtbot: QtBot, plots: RunPlots, tmp_path: Path) -> None:
    show(plots, 30)
    plots.keep_run()
    with qtbot.waitSignal(plots.saver.said):
        plots.save_csv(tmp_path / "kept.csv")
    assert len((tmp_path / "kept.csv").read_text(encoding="utf-8").splitlines()) == 31


@pytest.mark.parametrize("suffix", ["png", "svg", "csv"])
def test_what_cannot_be_written_is_said(qtbot: QtBot, plots: RunPlots, tmp_path: Path, suffix: str) -> None:
    show(plots, 30)
    path = tmp_path / "gone" / f"curves.{suffix}"
    save = {"png": plots.save_png, "svg": plots.save_svg, "csv": plots.save_csv}[suffix]
    with qtbot.waitSignal(plots.saver.rejected) as blocker:
        save(path)
    assert blocker.args is not None
    assert blocker.args[0].startswith(f"{path} cannot be written: ")
    assert blocker.args[0].endswith(". Nothing was changed.")
    assert list(tmp_path.iterdir()) == []


def test_a_dialog_that_is_left_saves_nothing(
    qtbot: QtBot, plots: RunPlots, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    show(plots, 30)
    with qtbot.assertNotEmitted(plots.saver.said), qtbot.assertNotEmitted(plots.saver.rejected):
        menu_action(plots, "Save as PNG…").trigger()


# ---- look


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_nothing_is_cut_at_the_least_size(plots: RunPlots, mode: theme.Mode, scale: float) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, mode, scale)
    QApplication.processEvents()
    plots.resize(round(560 * scale), round(180 * scale))
    QApplication.processEvents()
    assert (plots.width(), plots.height()) == (round(560 * scale), round(180 * scale))
    show(plots, 250)
    children = [one for one in plots.findChildren(QWidget) if isinstance(one, QAbstractButton | CurvePlot)]
    boxes = [one.rect().translated(one.mapTo(plots, one.rect().topLeft())) for one in children]
    for child, box in zip(children, boxes, strict=True):
        assert plots.rect().contains(box)
        assert child.width() >= child.minimumSizeHint().width()
        assert child.height() >= child.minimumSizeHint().height()
        assert sum(box.intersects(other) for other in boxes) == 1


def test_every_control_says_what_it_is(plots: RunPlots) -> None:
    for control in plots.findChildren(QWidget):
        if isinstance(control, QAbstractButton | CurvePlot):
            assert control.accessibleName()
            assert control.toolTip()
