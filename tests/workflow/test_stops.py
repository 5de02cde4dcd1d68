"""A stop is told as one, whatever a library has made of it on its way."""

import contextlib
import signal

import pytest

from memristive.cli.command_line import run
from memristive.io.files import FileProblem
from memristive.spice.errors import NgspiceMissing, SimulationError


class Made:
    """Python 3.11 makes a RuntimeError of what ends a class's making, zipfile a ValueError, some libraries an ImportError."""

    def __init__(self, error):
        self.error = error

    def __call__(self, arguments):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise self.error from (stop if isinstance(self.error, ImportError) else None)


@pytest.mark.parametrize("error", [RuntimeError("Error calling __set_name__"), ValueError("an open writing handle"),
                                   ImportError("numba"), NgspiceMissing("cannot be used"), SimulationError("refused")])
def test_stop_of_which_a_library_made_an_error_of_its_own_is_one(error, capsys):
    assert run(Made(error)) == 130
    assert capsys.readouterr().err.endswith(": stopped by Ctrl-C\n")


def test_the_first_of_two_signals_is_the_one_that_stopped_it(capsys):
    def main(arguments):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
    assert run(main) == 128 + 15
    assert capsys.readouterr().err.endswith(": stopped by SIGTERM\n")


def test_stopped_run_that_cannot_be_saved_says_so(capsys):
    assert run(Made(FileProblem("v.json.checkpoint cannot be written: No space left on device"))) == 1
    assert "No space left" in capsys.readouterr().err


def test_error_of_nobodys_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda arguments: 1 // 0)
