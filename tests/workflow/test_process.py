"""A script's process: which signals end it, when none does, and output that goes on taking text."""

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

from memristive.cli.process import TERMINATING, Output, children_kept_apart, guarded_output, stop_signals, undisturbed, unloadable
from memristive.io.files import ROOT


@pytest.fixture(autouse=True)
def handlers():
    """Every test gives the handlers back as it found them."""
    numbers = [signal.SIGINT, *TERMINATING]
    before = {number: signal.getsignal(number) for number in numbers}
    yield before
    after = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


def test_ends_from_outside_are_these():
    assert TERMINATING == [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", TERMINATING)
def test_termination_does_what_ctrl_c_does_and_is_remembered(number):
    with stop_signals() as came:
        assert came == []
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert came == [number]


def test_termination_is_handed_to_whoever_holds_ctrl_c_back():
    held = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame is not None)))
    with stop_signals() as came:
        signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGINT, before)
    assert held == [(signal.SIGINT, True)] and came == [signal.SIGTERM]


def test_termination_ends_also_a_process_that_ignores_ctrl_c():
    """As a shell's background jobs do."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signals(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGINT, before)


class Thing:
    pass


@pytest.mark.parametrize(("number", "ctrl_c"), [(signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_IGN),
                                                (signal.SIGTERM, signal.default_int_handler)])
def test_stop_is_not_lost_where_python_drops_what_is_raised(number, ctrl_c, capsys):
    """In a callback of a weak reference, as every import has one: Python would print a traceback and work on."""
    before = signal.signal(signal.SIGINT, ctrl_c)
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    try:
        with stop_signals() as came, pytest.raises(KeyboardInterrupt):
            del thing
            time.sleep(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert reference() is None and set(came) == {number} - {signal.SIGINT}
    assert capsys.readouterr().err == ""


def test_what_else_python_drops_is_said_as_ever(capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    thing = Thing()
    reference = weakref.ref(thing, lambda _: int("seven"))
    with stop_signals():
        del thing
    assert reference() is None and "ValueError" in capsys.readouterr().err
    assert sys.unraisablehook is sys.__unraisablehook__


def test_what_was_ignored_from_the_start_stays_ignored():
    """SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_signals() as came:
        signal.raise_signal(signal.SIGHUP)
    assert came == [] and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGHUP, before)


def test_nothing_disturbs_the_saving_of_a_stopped_run(handlers):
    with undisturbed():
        for number in (signal.SIGINT, *TERMINATING):
            signal.raise_signal(number)
    assert {number: signal.getsignal(number) for number in handlers} == handlers


@pytest.mark.parametrize("context", [stop_signals, undisturbed, children_kept_apart])
def test_other_threads_leave_signals_alone(context, handlers):
    """Python allows handlers in the main thread alone."""
    problems, hook = [], sys.unraisablehook

    def work():
        try:
            with context():
                assert sys.unraisablehook is hook
        except (ValueError, AssertionError) as error:
            problems.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert problems == []


class Full(io.StringIO):
    """A stream on a full device."""

    def __init__(self, taken=0):
        super().__init__()
        self.left = taken

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise OSError(28, f"full for {text}")
        return super().write(text)


def test_output_goes_on_taking_text_and_remembers_the_first_problem():
    stream = Full(taken=1)
    output = Output(stream)
    assert output.problem is None
    assert [output.write(text) for text in ("one", "three", "seven")] == [3, 5, 5]
    assert output.problem.strerror == "full for three" and stream.getvalue() == "one"
    output.flush()
    assert output.problem.strerror == "full for three"
    assert output.encoding is stream.encoding  # all else is the stream's


@pytest.mark.parametrize("close", [True, False])
def test_stream_that_is_closed_or_cannot_be_flushed_is_a_problem_too(close):
    stream = io.StringIO()
    output = Output(stream)
    if close:
        stream.close()
        assert output.write("some") == 4
    else:
        stream.flush = lambda: (_ for _ in ()).throw(OSError(5, "gone"))
        output.flush()
    assert isinstance(output.problem, ValueError if close else OSError)


def test_descriptor_of_a_stream_that_failed_becomes_the_null_device(tmp_path):
    """What this process starts later writes there as well."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        output = Output(stream)
        output.write("x" * 100)
        output.flush()
        assert isinstance(output.problem, BrokenPipeError)
        assert os.path.sameopenfile(stream.fileno(), os.open(os.devnull, os.O_WRONLY))
        with contextlib.suppress(OSError):
            stream.flush()


def test_printing_never_fails_within_guarded_output(monkeypatch):
    out, err = Full(), Full()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with guarded_output() as output:
        print("some result")
        print("some warning", file=sys.stderr)
        assert output.problem.strerror.startswith("full for") and sys.stdout is output
    assert sys.stdout is out and sys.stderr is err


def test_guarded_output_is_flushed_at_its_end(monkeypatch):
    flushed = []
    stream = io.StringIO()
    stream.flush = lambda: flushed.append(True)
    monkeypatch.setattr(sys, "stdout", stream)
    with guarded_output():
        print("some result")
    assert flushed and stream.getvalue() == "some result\n"


def test_missing_streams_are_the_null_device(monkeypatch):
    """Python has None for them where a script is started with them closed."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with guarded_output() as output:
        print("some result")
        print("some warning", file=sys.stderr)
        assert output.problem is None
    assert sys.stdout.name == sys.stderr.name == os.devnull


def test_standard_descriptors_are_never_a_files():
    """With standard output closed, the next file that is opened would be number 1, and receive all that is printed."""
    kept = os.dup(1)
    os.close(1)
    try:
        with guarded_output():
            descriptor = os.open(os.devnull, os.O_WRONLY)
            assert descriptor > 2
            os.close(descriptor)
            os.fstat(1)
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def test_children_never_see_the_signals_that_their_parent_gets(handlers):
    """Ctrl-C in a terminal reaches the whole group: a worker that still loads its libraries would say so at length."""
    child = ("import os, signal, time; print(flush=True, end='up '); [os.kill(os.getpid(), number) for number in "
             f"{[int(number) for number in handlers]}]; time.sleep(0.1); print('alive')")
    with children_kept_apart():
        process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=60)[0] == "up alive\n"
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_signal_that_comes_while_children_are_started_is_delivered_afterwards():
    after = []
    with pytest.raises(KeyboardInterrupt), children_kept_apart():
        signal.raise_signal(signal.SIGINT)
        after.append(True)
    assert after


def test_a_stopped_program_ends_although_a_thread_of_a_library_does_not():
    program = ("import memristive.cli.loading as loading, threading, time\n"
               "loading.END_WITHIN = 0.5\n"
               "def main(arguments):\n"
               "    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
               "    raise KeyboardInterrupt\n"
               "raise SystemExit(loading.run(main))\n")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and done.stderr.endswith("stopped by Ctrl-C\n")


def test_a_stopped_program_ends_although_a_finalizer_does_not():
    program = ("import memristive.cli.loading as loading, atexit, os, time\n"
               "atexit.register(os.write, 1, b'closed')\n"
               "class Tracker:\n"
               "    def __del__(self, sleep=time.sleep):\n"
               "        sleep(1000)\n"
               "tracker = Tracker()\n"
               "def main(arguments):\n"
               "    print('at work,', end=' ')\n"
               "    raise KeyboardInterrupt\n"
               "raise SystemExit(loading.run(main))\n")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and done.stderr.endswith("stopped by Ctrl-C\n") and done.stdout == "at work, closed"


def test_what_the_system_refuses_is_said_as_it_says_it():
    assert unloadable(OSError(errno.EMFILE, "Too many open files", "a.json")) == "a.json: Too many open files"
    assert unloadable(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    for error in (ImportError("failed to map segment"), OSError("cannot load library"), MemoryError()):
        assert unloadable(error).startswith(f"a library cannot be loaded, or memory is short ({type(error).__name__}")


@pytest.mark.parametrize("before", [None, "", "1"])
def test_children_take_no_modules_from_the_working_folder(tmp_path, monkeypatch, before):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random.py").write_text("raise SystemExit(7)")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", before)
    with children_kept_apart():
        assert subprocess.run([sys.executable, "-c", "import random"]).returncode == 0
    assert os.environ.get("PYTHONSAFEPATH") == before
