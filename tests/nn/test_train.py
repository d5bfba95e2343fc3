import dataclasses
import errno
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convviz.core.control import StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, ReLU
from convviz.core.layers import Conv2d, Drawn
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.nn import train as module_under_test
from convviz.nn.batches import Batches
from convviz.nn.build import build
from convviz.nn.checkpoint import Change, load_checkpoint, save_checkpoint
from convviz.nn.control import TrainControl
from convviz.nn.run_folder import BEST_FILE, LAST_FILE, RunFolder
from convviz.nn.settings import scheduled
from convviz.nn.train import (
    DivergedError,
    Trainer,
    TrainSnapshot,
    device_of,
    initialised,
    resume,
    train,
    with_classes,
)
from tests.nn.train_cases import SETTINGS, info_of, norm_stack, result_of, tiny_dataset, tiny_stack, trained

DATASET = tiny_dataset()
NUM_STEPS = 18
"""3 epochs of 6 batches."""

KINDS = {
    "sgd": (tiny_stack(), SETTINGS),
    "adam": (tiny_stack(), dataclasses.replace(SETTINGS, optimizer="adam", lr=0.01, schedule="cosine")),
    "adamw": (tiny_stack(), dataclasses.replace(SETTINGS, optimizer="adamw", lr=0.01, schedule="constant")),
    "norm, dropout": (norm_stack(), dataclasses.replace(SETTINGS, label_smoothing=0.1)),
    "augmented": (tiny_stack(), dataclasses.replace(SETTINGS, flip=True, crop=2, cutout=3)),
    "mixed precision": (norm_stack(), dataclasses.replace(SETTINGS, mixed_precision=True)),
}


def new_trainer(**changes: Any) -> Trainer:
    return Trainer(tiny_stack(), DATASET, dataclasses.replace(SETTINGS, **changes))


def assert_same_course(trainer: Trainer, other: Trainer) -> None:
    """Bit for bit, but for the time it took."""
    for name in ("step", "epoch", "loss", "lr", "momentum", "grad_norm"):
        np.testing.assert_array_equal(trainer.curve[name], other.curve[name])
    for result, other_result in zip(trainer.progress.epochs, other.progress.epochs, strict=True):
        assert dataclasses.replace(result, seconds=0) == dataclasses.replace(other_result, seconds=0)
    assert_same_weights(trainer, other)


def assert_same_weights(trainer: Trainer, other: Trainer) -> None:
    for tensor, other_tensor in zip(
        trainer.module.state_dict().values(), other.module.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, other_tensor)


# The same seed, the same course


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5)
@given(stop_after=st.integers(1, NUM_STEPS - 1))
def test_resumed_from_a_file_the_course_is_the_same(
    kind: str, stop_after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack, chosen = KINDS[kind]
    whole = Trainer(stack, DATASET, chosen)
    trained(whole)
    assert len(whole.curve) == 18 - 3 * (kind in ("norm, dropout", "mixed precision"))

    path = tmp_path_factory.mktemp("run")
    first = Trainer(stack, DATASET, chosen)
    trained(first, RunFolder.create(path, info_of(first)), min(stop_after, len(whole.curve) - 1))
    second = resume(RunFolder.open(path), DATASET)
    trained(second, RunFolder.open(path))
    assert_same_course(whole, second)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_pauses_nor_looks_nor_other_random_numbers_change_the_course(kind: str) -> None:
    stack, chosen = KINDS[kind]
    whole = Trainer(stack, DATASET, chosen)
    trained(whole)

    watched = Trainer(stack, DATASET, chosen)
    control = TrainControl(paused=True)
    for snapshot in train(watched, StopToken(), control):
        torch.rand(3)
        watched.module.eval()
        with torch.no_grad():
            watched.module(torch.rand(2, 3, 8, 8))
        watched.module.train()
        if snapshot.phase == "paused":
            control.step()
    assert_same_course(whole, watched)


def test_torchs_own_random_state_stays() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(Trainer(*KINDS["norm, dropout"][:1], DATASET, SETTINGS))
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_is_another_course() -> None:
    one, two = new_trainer(seed=1), new_trainer(seed=2)
    assert not torch.equal(next(one.module.parameters()), next(two.module.parameters()))
    assert one.step()[3] != two.step()[3]


def test_dropout_differs_from_batch_to_batch() -> None:
    stack = Stack((3, 8, 8), [*norm_stack().layers[5:7], Linear(192, 3, Drawn(0))])
    trainer = Trainer(stack, tiny_dataset(8), dataclasses.replace(SETTINGS, lr=1e-9, weight_decay=0.0))
    losses = [trainer.step()[3] for _ in range(3)]
    assert len(set(losses)) == 3  # each of the same eight pictures, with the same weights


@given(st.integers(0, 2**32 - 1))
def test_initial_weights_are_drawn_as_torch_draws_them(seed: int) -> None:
    stack = initialised(norm_stack(), seed)
    for layer, fan_in in ((stack.layers[0], 27), (stack.layers[7], 64)):
        assert isinstance(layer, (Conv2d, Linear))
        for array in layer.arrays.values():
            assert array is None or isinstance(array, Drawn)
        weight = layer.weight
        assert np.abs(weight).max() <= 1 / math.sqrt(fan_in)
    assert stack.layers[1] == BatchNorm2d(4)


def test_given_weights_are_drawn_anew() -> None:
    known = Stack((3, 8, 8), [Conv2d(3, 3, 8, weight=np.ones((3, 3, 8, 8))), BatchNorm2d(3, running_mean=[1, 2, 3])])
    assert initialised(known, 0).layers == (Conv2d(3, 3, 8, weight=Drawn(0), bias=None), BatchNorm2d(3))


# What a batch does


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_steps_are_those_of_torch(optimizer: str, schedule: str) -> None:
    chosen = dataclasses.replace(
        SETTINGS, optimizer=optimizer, schedule=schedule, lr=0.02, weight_decay=0.01, label_smoothing=0.1
    )
    trainer = Trainer(tiny_stack(), DATASET, chosen)
    module = build(initialised(tiny_stack(), chosen.seed)).train()
    batches = Batches(DATASET.train, 8, chosen.seed)
    match optimizer:
        case "sgd":
            oracle: torch.optim.Optimizer = torch.optim.SGD(
                module.parameters(), 1.0, 0.9, weight_decay=0.01, nesterov=True
            )
        case "adam":
            oracle = torch.optim.Adam(module.parameters(), weight_decay=0.01)
        case _:
            oracle = torch.optim.AdamW(module.parameters(), weight_decay=0.01)
    for step in range(NUM_STEPS):
        x, y = batches.batch(*divmod(step, 6))
        oracle.param_groups[0]["lr"] = scheduled(0.02, schedule, step, NUM_STEPS)
        oracle.zero_grad()
        loss = nn.functional.cross_entropy(module(x), y, label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).norm()
        oracle.step()
        row = trainer.step()
        assert row[0] == step + 1
        assert row[3:5] == pytest.approx((loss.item(), oracle.param_groups[0]["lr"]), rel=1e-4)
        assert row[6] == pytest.approx(norm.item(), rel=1e-4)
    for parameter, expected in zip(trainer.module.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-4, atol=1e-5)


def test_training_lowers_the_loss_and_recognises_the_test_pictures() -> None:
    trainer = new_trainer(epochs=25)
    snapshot = trained(trainer)
    assert snapshot.phase == "finished"
    assert snapshot.smoothed_loss < 0.3
    assert snapshot.evaluation is not None
    assert snapshot.evaluation.accuracy == trainer.progress.epochs[-1].test_accuracy > 0.8
    assert len(trainer.progress.epochs) == 25


def test_the_mean_of_an_epoch_is_that_of_its_pictures() -> None:
    trainer = new_trainer(epochs=2)
    trained(trainer)
    losses = trainer.curve["loss"][6:]
    sizes = np.array([8, 8, 8, 8, 8, 4])
    assert trainer.progress.epochs[1].train_loss == pytest.approx((losses * sizes).sum() / 44)
    assert trainer.progress.epochs[1].train_accuracy == trainer.progress.correct / 44


def test_the_smoothed_loss_is_a_weighted_mean() -> None:
    trainer = new_trainer()
    assert math.isnan(trainer.smoothed_loss)
    for _ in range(5):
        trainer.step()
    weights = 0.98 ** np.arange(5)[::-1]
    assert trainer.smoothed_loss == pytest.approx(np.average(trainer.curve["loss"], weights=weights))


def test_no_small_rest_is_normalised() -> None:
    assert Trainer(tiny_stack(), DATASET, SETTINGS).batches_per_epoch == 6
    assert Trainer(norm_stack(), DATASET, SETTINGS).batches_per_epoch == 5
    assert Trainer(norm_stack(), DATASET, dataclasses.replace(SETTINGS, batch_size=100)).batches_per_epoch == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_pictures_are_those_that_the_network_saw(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, chosen = KINDS[kind]
    trainer = Trainer(stack, DATASET, chosen)
    seen: list[np.ndarray[Any, Any]] = []
    trainer.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    first, labels = trainer.pictures()
    assert labels.shape == (8,)
    for step in range(8):
        trainer.step()
        images, labels = trainer.pictures()
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        np.testing.assert_allclose(images / 127.5 - 1, seen[step], atol=1e-6)
        if step == 0:
            np.testing.assert_array_equal(images, first)
        if kind == "sgd":
            numbers = [(DATASET.train.images == image).all((1, 2, 3)).argmax() for image in images]
            np.testing.assert_array_equal(labels, DATASET.train.labels[numbers])


# Changed while it runs


def test_changed_rates_hold_from_the_next_batch_on_and_are_noted(tmp_path: Path) -> None:
    trainer = new_trainer(schedule="constant", lr=0.05)
    control = TrainControl()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    for snapshot in train(trainer, StopToken(), control, folder):
        if snapshot.progress.step == 7 and snapshot.phase == "training":
            control.set_lr(0.01)
            control.set_momentum(0.0)
    assert trainer.progress.changes == (Change(7, "lr", 0.01), Change(7, "momentum", 0.0))
    np.testing.assert_array_equal(trainer.curve["lr"], [0.05] * 7 + [0.01] * 11)
    np.testing.assert_array_equal(trainer.curve["momentum"], [0.9] * 7 + [0.0] * 11)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_changed_rates_are_resumed(optimizer: str, tmp_path: Path) -> None:
    whole, first = (new_trainer(optimizer=optimizer, lr=0.01, momentum=0.0) for _ in range(2))
    for trainer in (whole, first):
        for step in range(10):
            if step == 4:
                trainer.set_lr(0.005)
                trainer.set_momentum(0.8)
            trainer.step()
            if trainer.unevaluated:
                trainer.evaluate(StopToken())
    save_checkpoint(tmp_path / "a.pt", first.checkpoint())
    second = new_trainer(optimizer=optimizer, lr=0.01, momentum=0.0)
    second.restore(load_checkpoint(tmp_path / "a.pt"), first.curve)
    trained(whole)
    trained(second)
    assert_same_course(whole, second)
    assert second.curve["momentum"][-1] == 0.8


def test_the_same_value_is_no_change() -> None:
    trainer = new_trainer()
    trainer.set_lr(SETTINGS.lr)
    trainer.set_epochs(SETTINGS.epochs)
    assert trainer.progress.changes == ()


CHANGES = st.lists(
    st.tuples(st.integers(0, 35), st.sampled_from(["lr", "momentum", "epochs"]), st.integers(1, 6)), max_size=4
)


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
@settings(max_examples=10)
@given(changes=CHANGES, stop_after=st.integers(0, 40))
def test_with_the_same_changes_at_the_same_steps_the_course_is_the_same(
    schedule: str, changes: list[tuple[int, str, int]], stop_after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether or not it was resumed from a file in between, and whether the run goes on or had come to its end."""

    def course(trainer: Trainer, end: int) -> Trainer:
        while trainer.progress.step < end:
            for step, name, number in changes:
                if step == trainer.progress.step and name == "epochs":
                    trainer.set_epochs(max(number, trainer.epochs_begun))
                elif step == trainer.progress.step:
                    (trainer.set_lr if name == "lr" else trainer.set_momentum)(0.01 * number)
            if trainer.finished:
                break
            trainer.step()
            if trainer.unevaluated:
                trainer.evaluate(StopToken())
        return trainer

    path = tmp_path_factory.mktemp("run") / "a.pt"
    first = course(new_trainer(schedule=schedule), stop_after)
    save_checkpoint(path, first.checkpoint())
    second = new_trainer(schedule=schedule)
    second.restore(load_checkpoint(path), first.curve)
    whole = course(new_trainer(schedule=schedule), 100)
    assert_same_course(whole, course(second, 100))
    assert second.settings == whole.settings
    assert second.progress.changes == whole.progress.changes


def test_the_rate_follows_from_the_new_number_of_epochs() -> None:
    trainer = new_trainer(schedule="cosine")
    control = TrainControl()
    for snapshot in train(trainer, StopToken(), control):
        if snapshot.progress.step == 4:
            control.set_epochs(5)
    assert trainer.progress.changes == (Change(4, "epochs", 5),)
    expected = [scheduled(SETTINGS.lr, "cosine", step, 18 if step < 4 else 30) for step in range(30)]
    np.testing.assert_array_equal(trainer.curve["lr"], expected)
    assert len(trainer.progress.epochs) == trainer.settings_now.epochs == 5


def test_a_run_that_is_over_goes_on_with_more_epochs(tmp_path: Path) -> None:
    trainer = new_trainer(schedule="constant")
    control = TrainControl()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    trained(trainer, folder)
    control.set_epochs(5)
    assert result_of(train(trainer, StopToken(), control, folder)).phase == "finished"
    whole = new_trainer(schedule="constant", epochs=5)
    trained(whole)
    assert_same_course(whole, trainer)
    assert len(folder.metrics().batches) == 30
    assert RunFolder.open(folder.path).info.settings.epochs == 5
    assert resume(folder, DATASET).finished


def test_a_run_has_no_fewer_epochs_than_have_begun() -> None:
    trainer = new_trainer()
    control = TrainControl()
    for snapshot in train(trainer, StopToken(), control):
        if snapshot.progress.step == 8 and snapshot.phase == "training":
            with pytest.raises(RefusalError, match="epochs is 1; 2 have begun already"):
                trainer.set_epochs(1)
            control.set_epochs(1)
    assert trainer.progress.step == 12
    assert trainer.progress.changes == (Change(8, "epochs", 2),)


def test_a_change_out_of_range_is_refused() -> None:
    trainer = new_trainer()
    with pytest.raises(RefusalError, match="lr is -1; it must be"):
        trainer.set_lr(-1)
    with pytest.raises(RefusalError, match="momentum is 1; it must be"):
        trainer.set_momentum(1)
    with pytest.raises(RefusalError, match="epochs is 0; it must be"):
        trainer.set_epochs(0)
    assert trainer.settings_now == trainer.settings


# Stopped and paused


def test_while_paused_no_batch_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_under_test, "PAUSED_SECONDS", 0)
    trainer = new_trainer()
    control = TrainControl(paused=True)
    snapshots = train(trainer, StopToken(), control)
    assert [next(snapshots).phase for _ in range(3)] == ["paused"] * 3
    assert trainer.progress.step == 0
    control.step()
    assert [next(snapshots).phase for _ in range(3)] == ["training", "paused", "paused"]
    assert trainer.progress.step == 1
    control.resume()
    assert next(snapshots).progress.step == 2


def test_a_stop_is_heard_while_paused() -> None:
    token = StopToken()
    snapshots = train(new_trainer(), token, TrainControl(paused=True))
    next(snapshots)
    token.request_stop()
    assert result_of(snapshots).phase == "stopped"


def test_an_evaluation_that_was_stopped_is_done_on_resuming(tmp_path: Path) -> None:
    whole, first = new_trainer(), new_trainer()
    trained(whole)
    token = StopToken()
    folder = RunFolder.create(tmp_path / "run", info_of(first))
    for snapshot in train(first, token, folder=folder):
        if snapshot.phase == "evaluating" and snapshot.epoch == 3:
            token.request_stop()
    assert first.finished
    assert len(first.progress.epochs) == 2
    second = resume(folder, DATASET)
    assert trained(second, folder).phase == "finished"
    assert_same_course(whole, second)
    assert len(folder.metrics().epochs) == 3


def test_more_epochs(tmp_path: Path) -> None:
    first = new_trainer(schedule="constant")
    folder = RunFolder.create(tmp_path / "run", info_of(first))
    trained(first, folder)
    second = resume(folder, DATASET)
    second.set_epochs(5)
    trained(second, folder)
    whole = new_trainer(schedule="constant", epochs=5)
    trained(whole)
    assert_same_course(whole, second)
    assert RunFolder.open(folder.path).info.settings.epochs == 5


def test_a_run_that_is_over_has_nothing_to_do() -> None:
    trainer = new_trainer()
    trained(trainer)
    assert list(train(trainer, StopToken())) == []


# What is saved


def test_there_is_a_checkpoint_from_the_first_moment_on(tmp_path: Path) -> None:
    trainer = new_trainer()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    snapshot = next(train(trainer, StopToken(), TrainControl(paused=True), folder))
    assert snapshot.saved_at is not None
    assert folder.load().progress.step == 0


def test_checkpoints_are_written_each_epoch_on_request_and_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer()
    control = TrainControl()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    saved: set[int] = set()
    for snapshot in train(trainer, StopToken(), control, folder):
        saved.add(folder.load().progress.step)
        if snapshot.progress.step == 8:
            control.save()
        if snapshot.progress.step == 14:
            monkeypatch.setattr(module_under_test, "SAVE_SECONDS", -1)
    assert saved == {0, 6, 8, 12, 15, 16, 17, 18}


def test_the_best_checkpoint_holds_what_inspecting_needs(tmp_path: Path) -> None:
    trainer = new_trainer()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    trained(trainer, folder)
    best = folder.load(BEST_FILE)
    assert best.optimizer == {}
    assert best.data.classes == DATASET.classes
    assert best.trained_stack().shapes[-1] == (3,)


def test_a_process_that_was_killed_at_any_moment_is_resumed(tmp_path: Path) -> None:
    """What lies in the folder after any batch is enough."""
    whole, trainer = new_trainer(), new_trainer()
    trained(whole)
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    for number, _ in enumerate(train(trainer, StopToken(), folder=folder)):
        shutil.copytree(folder.path, tmp_path / str(number))
    for copy in range(number + 1):
        found = RunFolder.open(tmp_path / str(copy))
        second = resume(found, DATASET)
        trained(second, found)
        assert_same_course(whole, second)
        assert len(found.metrics().batches) == NUM_STEPS


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    trainer = new_trainer()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    trained(trainer, folder)
    with pytest.raises(RefusalError, match="Tiny are not those"):
        resume(folder, tiny_dataset(fingerprint="other"))


# Snapshots


def test_snapshots_stay_as_they_are() -> None:
    trainer = new_trainer()
    snapshots = list(train(trainer, StopToken()))
    done = [snapshot for snapshot in snapshots if snapshot.phase == "training"]
    for snapshot in done:
        np.testing.assert_array_equal(snapshot.curve, trainer.curve[: snapshot.progress.step])
        with pytest.raises(ValueError, match="read-only"):
            snapshot.curve["loss"][0] = 0
    assert [(snapshot.epoch, snapshot.batch) for snapshot in done[:8]] == [
        *((1, batch) for batch in (1, 2, 3, 4, 5, 6, 6)),
        (2, 1),
    ]
    assert done[-1].seconds_left == 0
    assert done[0].images_per_second > 0


def test_a_curve_of_any_length_keeps_all_rows() -> None:
    curve = module_under_test.Curve()
    views = []
    for step in range(3000):
        curve.append((step, 0, 0, 0, 0, 0, 0))
        views.append(curve.rows)
    assert all(len(view) == length for length, view in enumerate(views, 1))
    np.testing.assert_array_equal(curve.rows["step"], np.arange(3000))
    np.testing.assert_array_equal(views[1023]["step"], np.arange(1024))


# What goes wrong


@pytest.fixture
def runaway(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """A trainer that has done 4 good batches, the last good state after the third, and gets a hopeless rate."""
    monkeypatch.setattr(module_under_test, "GOOD_STEPS", 3)
    trainer = new_trainer(schedule="constant", epochs=40)
    for _ in range(4):
        trainer.step()
    trainer.set_lr(1000.0)
    return trainer


def test_a_loss_that_runs_away_stops_at_that_step_and_goes_back(runaway: Trainer, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", info_of(runaway))
    with pytest.raises(DivergedError) as diverged:
        trained(runaway, folder)
    error = diverged.value
    assert error.step > 4
    assert error.lr == 1000
    assert error.good_step == runaway.progress.step == 3
    assert f"At step {error.step}, at a learning rate of 1000, the loss was " in str(error)
    assert "NaN" in str(error) or "∞" in str(error)

    expected = new_trainer(schedule="constant", epochs=40)
    for _ in range(3):
        expected.step()
    assert_same_weights(runaway, expected)
    assert len(runaway.curve) == 3
    assert folder.load(LAST_FILE).progress.step == 3

    runaway.set_lr(0.01)
    assert trained(runaway, folder).phase == "finished"
    assert runaway.progress.changes == (Change(3, "lr", 0.01),)
    np.testing.assert_array_equal(folder.metrics().batches["step"], np.arange(1, 241))


@pytest.mark.parametrize(("loss", "word"), [(math.nan, "NaN"), (math.inf, "∞")])
def test_numbers_are_said_as_everywhere(loss: float, word: str) -> None:
    assert str(DivergedError(1234, loss, 0.00005, 1234567.0, 1200)) == (
        f"At step 1234, at a learning rate of 5e−5, the loss was {word} and the norm of its gradient 1.235e6: "
        "the numbers ran away. "
        "The weights of step 1200 are kept: go on from there with a smaller rate."
    )


def test_a_state_of_a_rising_loss_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss runs away over several batches, after each of which the trainer could keep its state."""
    monkeypatch.setattr(module_under_test, "GOOD_STEPS", 1)
    trainer = new_trainer(schedule="constant", epochs=40, lr=30.0)
    losses: list[float] = []
    with pytest.raises(DivergedError) as diverged:
        losses.extend(trainer.step()[3] for _ in range(200))
    assert max(losses) > 10 * losses[0]
    assert trainer.progress.step < diverged.value.step - 2
    assert len(trainer.curve) == trainer.progress.step
    assert trainer.curve["loss"].max() < 10 * losses[0]


def test_a_test_loss_that_is_not_finite_goes_back_too() -> None:
    trainer = new_trainer()
    with torch.no_grad():
        next(iter(trainer.module.parameters())).fill_(math.nan)
    with pytest.raises(DivergedError):
        trainer.evaluate(StopToken())
    assert torch.isfinite(next(iter(trainer.module.parameters()))).all()


OUT_OF_MEMORY = [
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_too_little_memory_is_said_and_the_weights_are_kept(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = new_trainer()
    trained(trainer, stop_after=4)
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(trainer.module[2], "forward", fail)
        with pytest.raises(RefusalError, match=r"batches of 8 pictures\. The weights are kept"):
            trained(trainer, folder)
    assert folder.load().progress.step == 4
    trained(trainer, folder)
    whole = new_trainer()
    trained(whole)
    assert_same_course(whole, trainer)


def test_other_errors_are_not_taken_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = new_trainer()
    monkeypatch.setattr(trainer.module[2], "forward", lambda x: x)
    with pytest.raises(RuntimeError, match="shapes"):
        trainer.step()


def test_a_full_disk_is_said_and_what_was_trained_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = new_trainer()
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        snapshots = train(trainer, StopToken(), folder=folder)
        while next(snapshots).progress.step < 8:
            pass
        patch.setattr(os, "fsync", full)
        with pytest.raises(RefusalError, match="No space left on device"):
            result_of(snapshots)
    assert folder.load().progress.step == 6
    assert trainer.progress.step == 12
    trained(trainer, folder)
    assert folder.load().progress.step == NUM_STEPS


def test_from_a_deleted_folder_the_run_moves_to_another(tmp_path: Path) -> None:
    trainer, whole = new_trainer(), new_trainer()
    trained(whole)
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    snapshots = train(trainer, StopToken(), folder=folder)
    while next(snapshots).progress.step < 8:
        pass
    shutil.rmtree(folder.path)
    with pytest.raises(RefusalError, match="No such file"):
        result_of(snapshots)
    other = RunFolder.create(tmp_path / "other", info_of(trainer))
    trained(trainer, other)
    assert_same_course(whole, trainer)
    assert len(other.metrics().batches) == NUM_STEPS


# What does not fit


def stack_ending(*layers: Any, input_shape: tuple[int, int, int] = (3, 8, 8)) -> Stack:
    return Stack(input_shape, [Conv2d(3, 4, 3, weight=Drawn(0)), *layers])


@pytest.mark.parametrize(
    ("stack", "changes", "words"),
    [
        (stack_ending(Linear(36, 3)), {}, "Layer 2 does not fit: The input is 4×6×6; a linear layer takes a vector"),
        (Stack((3, 8, 8), [Flatten(), ReLU()]), {}, "The network has no weights to be learned"),
        (Stack((3, 9, 9), tiny_stack().layers), {}, "The network takes pictures of 3×9×9; those of Tiny are 3×8×8."),
        (stack_ending(), {}, "The network ends in 4×6×6; Tiny has 3 classes, which takes a vector of 3."),
        (stack_ending(Flatten(), Linear(144, 10)), {}, "The network ends in 10; Tiny has 3 classes"),
        (tiny_stack(), {"cutout": 9}, "cutout is 9; the pictures are only 8 wide."),
        (tiny_stack(), {"crop": 9}, "crop is 9; the pictures are only 8 wide."),
        (
            Stack((3, 8, 8), [Conv2d(3, 3, 8, weight=Drawn(0)), BatchNorm2d(3), Flatten()]),
            {"batch_size": 1},
            "Batch normalisation of single cells needs batches of at least 2 pictures.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(stack: Stack, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusalError) as refused:
        Trainer(stack, DATASET, dataclasses.replace(SETTINGS, **changes))
    assert str(refused.value).startswith(words)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    with pytest.raises(RefusalError, match="no cuda for torch; it has cpu"):
        device_of("cuda")


def test_the_last_dense_layer_gets_an_output_a_class() -> None:
    stack = with_classes(tiny_stack(), 7)
    assert stack.shapes[-1] == (7,)
    assert stack.layers[:-1] == tiny_stack().layers[:-1]
    assert with_classes(tiny_stack(), 3) == tiny_stack()
    assert with_classes(stack_ending(), 7) == stack_ending()


def test_a_snapshot_tells_the_share_recognised_so_far() -> None:
    snapshots: list[TrainSnapshot] = list(train(new_trainer(), StopToken()))
    for snapshot in snapshots:
        assert snapshot.train_accuracy == snapshot.progress.correct / snapshot.progress.seen
    assert math.isnan(next(train(new_trainer(), StopToken(), TrainControl(paused=True))).train_accuracy)
