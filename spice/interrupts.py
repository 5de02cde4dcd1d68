"""Signals held back while ngspice works: what a handler raises inside one of its callbacks into Python would be lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

# Those that programs turn into exceptions: Ctrl-C, a service manager's or a closing terminal's end, a time limit.
HELD = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]


@contextlib.contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Hold back the signals that have handlers in Python; yield what delivers those that came, to the handlers they had.

    Leaving the context delivers them too. Signals that are ignored or end the process at once do so as ever; threads
    other than the main one never see a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {
        number: handler for number in HELD if callable(handler := signal.getsignal(number))}

    def deliver() -> None:
        while came:
            number, frame = came.pop(0)
            handlers[number](number, frame)

    def hold(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))

    try:
        for number in handlers:
            signal.signal(number, hold)
        yield deliver
    finally:
        try:  # but for those for which a handler that was called meanwhile has set another
            _restore({number: handler for number, handler in handlers.items() if signal.getsignal(number) is hold})
        finally:
            deliver()  # also when ngspice ends with a complaint: every paused run does


def _restore(handlers: dict[int, Callable[[int, FrameType | None], object]]) -> None:
    """All of them, also if one that is restored already raises meanwhile."""
    left = dict(handlers)
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
            del left[number]
    finally:
        if left:
            _restore(left)
