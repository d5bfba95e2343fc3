"""How long work is asked to stop."""

from threading import Event


class StopToken:
    """A request to stop, made by one thread and looked at by another between two steps of its work."""

    def __init__(self) -> None:
        self._stop = Event()

    def request_stop(self) -> None:
        """Ask the work to end at its next look; it stays asked for."""
        self._stop.set()

    @property
    def stop_requested(self) -> bool:
        """Whether the work should end."""
        return self._stop.is_set()


class StoppedError(Exception):
    """The work was asked to stop before there was anything to return."""


def go_on(token: StopToken) -> None:
    """Raise StoppedError if `token` asks for it."""
    if token.stop_requested:
        raise StoppedError
