import threading

import pytest

from convviz.core.refusal import RefusalError
from convviz.nn.control import TrainControl, Wishes


def test_wishes_are_taken_once_and_the_newest_counts() -> None:
    control = TrainControl()
    control.set_lr(0.1)
    control.set_momentum(0.0)
    control.set_epochs(7)
    control.save()
    control.set_lr(0.2)
    assert control.take() == Wishes(lr=0.2, momentum=0.0, epochs=7, save=True)
    assert control.take() == Wishes()


def test_a_value_out_of_range_is_refused_where_it_is_asked_for() -> None:
    control = TrainControl()
    with pytest.raises(RefusalError, match="lr is"):
        control.set_lr(-1)
    with pytest.raises(RefusalError, match="momentum is"):
        control.set_momentum(1.5)
    with pytest.raises(RefusalError, match="epochs is"):
        control.set_epochs(0)
    assert control.take() == Wishes()


def test_pause_and_resume() -> None:
    control = TrainControl()
    assert control.may_go_on(0)
    control.pause()
    assert control.paused
    assert not control.may_go_on(0)
    control.resume()
    assert not control.paused
    assert control.may_go_on(0)
    assert control.may_go_on(0)


def test_one_batch_at_a_time() -> None:
    control = TrainControl(paused=True)
    control.step()
    assert control.may_go_on(0)
    assert not control.may_go_on(0)


def test_a_pause_takes_back_a_batch_that_was_not_begun() -> None:
    control = TrainControl()
    control.step()
    control.pause()
    assert not control.may_go_on(0)


def test_a_change_wakes_the_training_that_waits() -> None:
    control = TrainControl(paused=True)
    answers: list[bool] = []

    def wait() -> None:
        while not (answers and answers[-1]):
            answers.append(control.may_go_on(60))

    thread = threading.Thread(target=wait)
    thread.start()
    control.resume()
    thread.join(30)
    assert not thread.is_alive()
    assert answers[-1]
