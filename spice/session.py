"""The only room that talks to ngspice, through PySpice's NgSpiceShared: load once, alter, run, read, for ever.

`NgspiceSession` can be lifted out: it needs nothing of this project but `parameters.py`. It keeps circuits loaded between
runs, changes sources and initial conditions with `alter`, reads waveforms as NumPy arrays, frees every run's memory,
and turns each way in which ngspice fails into one exception.
"""

import contextlib
import ctypes.util
import dataclasses
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.NgSpice.Shared import NgSpiceCircuitError, NgSpiceCommandError, NgSpiceShared

from spice.parameters import Parameters, quantity

OLDEST_NGSPICE = 34  # the oldest whose level 3 MOSFET takes initial conditions by `alter` and whose shared library resumes

INSTALL_HINT = ("Debian, Ubuntu: apt-get install libngspice0; macOS: brew install libngspice; "
                "conda: conda install -c conda-forge ngspice-lib; Windows: pyspice-post-installation --install-ngspice-dll")

# Lines that ngspice 44 writes on stderr without anything being wrong.
HARMLESS = re.compile(r"condition met: stop|pause requested|simulation interrupted|^Note:|^Using |^\s*$")
WARNING = re.compile(r"^Warning:(?!.*ignored)")  # goes to the user; a line of the netlist ignored is an error


class NgspiceMissing(RuntimeError):
    """The shared library of ngspice is not there or cannot be used."""


class SimulationError(RuntimeError):
    """ngspice refused a netlist or stopped early; the message holds its own words and the netlist's path."""


@dataclass(frozen=True)
class Solver(Parameters):
    """How a transient is integrated: ngspice's tolerances, method and longest step."""

    max_step: float = quantity(20e-6, 1e-12, 1.0, "s", "longest time step")
    reltol: float = quantity(1e-5, 1e-12, 1e-2, "", "relative tolerance of voltages and currents")
    trtol: float = quantity(70.0, 0.1, 1e7, "", "factor on the truncation error that a step may make")
    chgtol: float = quantity(1e-14, 1e-20, 1.0, "C", "charges below this do not govern the time step")
    method: str = "trap"

    def tightened(self):
        """The same solver with every tolerance and the step divided by ten, for convergence checks."""
        return dataclasses.replace(self, max_step=self.max_step / 10, reltol=self.reltol / 10, trtol=self.trtol / 10,
                                   chgtol=self.chgtol / 10)

    def options(self):
        """The netlist's .options line; absolute tolerances follow reltol from ngspice's defaults at 1e-3."""
        scale = self.reltol / 1e-3
        return (f".options method={self.method} reltol={self.reltol:g} trtol={self.trtol:g} "
                f"chgtol={self.chgtol:g} vntol={1e-6 * min(1, 100 * scale):g} abstol={1e-12 * min(1, 100 * scale):g}")


def find_library():
    """Path or name of ngspice's shared library; raise NgspiceMissing if there is none."""
    if os.environ.get("NGSPICE_LIBRARY_PATH"):
        return os.environ["NGSPICE_LIBRARY_PATH"]
    if sys.platform == "win32":
        return NgSpiceShared.LIBRARY_PATH
    prefix = os.path.join(sys.prefix, "lib")
    ending = "dylib" if sys.platform == "darwin" else "so"
    candidates = [os.path.join(prefix, f"libngspice.{ending}"), f"/opt/homebrew/lib/libngspice.{ending}"]
    found = ctypes.util.find_library("ngspice") or next(filter(os.path.exists, candidates), None)
    if not found:
        raise NgspiceMissing(f"the shared library of ngspice was not found ({INSTALL_HINT})")
    return found


# Notes on ngspice's start or on a circuit left behind, without a bearing on any result.
UNNEEDED = re.compile(r"Unsupported Ngspice version|spinit|losing old state")


class _QuietLog(logging.Filter):
    """Keeps from the user what is harmless, or what the session raises as an exception anyway."""

    def filter(self, record):
        return record.levelno < logging.ERROR and not UNNEEDED.search(record.getMessage())


def start_ngspice():
    """PySpice's NgSpiceShared on the library found; raise NgspiceMissing if it cannot be loaded or is too old."""
    NgSpiceShared._logger.addFilter(_QuietLog())
    NgSpiceShared.LIBRARY_PATH = find_library()
    # ngspice keeps every command until told to forget; PySpice tells it after 10,000, megabytes of joined alters.
    NgSpiceShared.NUMBER_OF_EXEC_CALLS_TO_RELEASE_MEMORY = 200
    try:
        ngspice = NgSpiceShared.new_instance()
    except Exception as error:  # whatever PySpice or cffi raise here means the same to the user
        raise NgspiceMissing(f"{NgSpiceShared.LIBRARY_PATH} cannot be used: {error} ({INSTALL_HINT})") from error
    if (ngspice.ngspice_version or 0) < OLDEST_NGSPICE:
        raise NgspiceMissing(f"{NgSpiceShared.LIBRARY_PATH} is ngspice {ngspice.ngspice_version}, "
                             f"{OLDEST_NGSPICE} or newer is needed ({INSTALL_HINT})")
    return ngspice


def netlist_text(circuit, solver, stop, save=(), print_nodes=None):
    """The netlist of a PySpice `circuit` with options, .tran and .save, as `ngspice -b` runs it unchanged.

    `print_nodes` adds a .print line, without which ngspice's batch mode does not start.
    """
    lines = [str(circuit).rstrip(), solver.options()]
    lines += [f".save {' '.join(save[k:k + 20])}" for k in range(0, len(save), 20)]
    if print_nodes:
        lines += [f".{_tran_command(solver, stop)}", f".print tran {' '.join(print_nodes)}"]
    return "\n".join([*lines, ".end", ""])


@contextlib.contextmanager
def _interrupt_held_back():
    """Hold Ctrl-C back while ngspice works: raised inside one of its callbacks into Python, it would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = []
    previous = signal.signal(signal.SIGINT, lambda *_: caught.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if caught:  # also when ngspice ends with a complaint: every paused run does
            raise KeyboardInterrupt


class LoadedCircuit:
    """One circuit kept in a session. Made by `NgspiceSession.load`."""

    def __init__(self, session, text, solver):
        self._session = session
        self.text = text
        self.solver = solver
        self._altered = {}

    def alter(self, changes):
        """Change element values for the runs to come: `changes` maps "element" or "element parameter" to a number or list.

        For example {"vinput_3 pwl": [0, 0, 1e-6, 1], "c.xcell_0_1.cmemory ic": 2.8}. What has not changed is not sent.
        """
        fresh = {key: text for key, text in ((key, _value_text(value)) for key, value in changes.items())
                 if self._altered.get(key) != text}
        for key in fresh:  # until ngspice has taken them all, nobody knows what it has
            self._altered.pop(key, None)
        self._session._select(self)
        self._session._send_joined(f"alter {key} = {text}" for key, text in fresh.items())
        self._altered.update(fresh)

    def run(self, stop, pauses=None):
        """Run a transient from t = 0 (initial conditions as given) to `stop` s; return its `Waveforms`.

        `pauses` are times in s at which the run may be looked at: with them, the return value is an iterator that yields the
        waveforms so far at each pause and at the end. Closing it early ends the run there, but ngspice 44 never frees 2 kB of
        such a run: thousands of runs are better given a shorter `stop`. Give PULSE sources explicit edges: ngspice's default
        edge is the print step, which is the whole run here so that it does not add a time point.
        Raises SimulationError if ngspice stops before `stop`.
        """
        runs = self._session._transient(self, stop, pauses or ())
        if pauses is not None:
            return runs
        with contextlib.closing(runs):  # left to the garbage collector, what its end raises would be lost
            return next(runs)

    def netlist_with_changes(self, stop):
        """The netlist with all `alter` commands so far, to rerun by hand."""
        commands = [f"alter {key} = {text}" for key, text in self._altered.items()]
        block = [".control", *commands, _tran_command(self.solver, stop), ".endc", ".end", ""]
        return self.text.rsplit(".end", 1)[0] + "\n".join(block)


class Waveforms:
    """What a transient has computed so far: `time` in s, and `waveforms[name]` for any saved vector (arrays)."""

    def __init__(self, plot):
        self._plot = plot
        self.time = self["time"]

    def __getitem__(self, name):
        vector = self._plot.get(name)
        if vector is None:
            raise SimulationError(f"ngspice saved no vector {name!r}, only {', '.join(self._plot)}")
        # A copy, since ngspice frees its own after the run. The public to_waveform() would wrap units: ten times slower.
        return np.array(vector._data)

    def stack(self, names):
        """The vectors `names` as one array, vectors x time points."""
        return np.array([self[name] for name in names])


class NgspiceSession:
    """One ngspice per process, driven through PySpice. Raises NgspiceMissing."""

    def __init__(self):
        self._ngspice = start_ngspice()
        self._circuits = []
        self._selected = None

    @property
    def version(self):
        """Version number of the ngspice in use."""
        return self._ngspice.ngspice_version

    def load(self, circuit, solver, save):
        """Load a PySpice `circuit`, keeping the vectors `save` of its runs; return a `LoadedCircuit`."""
        loaded = LoadedCircuit(self, netlist_text(circuit, solver, 0, save), solver)
        try:
            with _interrupt_held_back():
                self._ngspice.load_circuit(loaded.text)
        except (NgSpiceCircuitError, NameError) as error:
            self._forget_refused()
            raise self._failure("refused the netlist", loaded, 0, str(error)) from error
        complaints = self._complaints()
        if complaints:
            self._forget_refused()
            raise self._failure("refused the netlist", loaded, 0, complaints)
        self._circuits.append(loaded)
        self._selected = loaded
        return loaded

    def _forget_refused(self):
        # ngspice keeps a netlist that it could parse, whatever it complains of: it would shift the numbers of all others.
        self._selected = None
        with contextlib.suppress(SimulationError):  # to ngspice, an empty list is an error
            self._send("setcirc")
            if len(self._ngspice.stdout.splitlines()) - 1 > len(self._circuits):  # a heading, then a line each
                self._send("setcirc 1")
                self._send("remcirc")

    def unload(self, circuit):
        """Remove a loaded circuit and free its memory."""
        self._select(circuit)
        self._send("remcirc")
        self._circuits.remove(circuit)
        self._selected = None

    def _select(self, circuit):
        if self._selected is not circuit:
            # ngspice numbers its circuits from the newest, 1, to the oldest.
            self._send(f"setcirc {len(self._circuits) - self._circuits.index(circuit)}")
            self._selected = circuit

    def _transient(self, circuit, stop, pauses):
        self._select(circuit)
        command = _tran_command(circuit.solver, stop)
        try:
            for pause in [p for p in pauses if p < stop]:
                self._advance_to(pause, command, circuit, stop)
                command = "resume"
                yield self._waveforms()
            self._advance(command, circuit, stop)
            waveforms = self._waveforms()
            if not waveforms.time[-1] >= stop * (1 - 1e-9):
                raise self._failure(f"stopped at {waveforms.time[-1]:g} s of {stop:g} s", circuit, stop, "")
            yield waveforms
        finally:
            self._send("destroy all")

    def _advance_to(self, pause, command, circuit, stop):
        self._send(f"stop when time > {float(pause)!r}")
        # Delete this breakpoint alone: "delete all" would forget the saved vectors too, and then ngspice keeps every node.
        with _interrupt_held_back():
            number = self._ngspice.status().splitlines()[-1].split()[0]
        try:
            self._advance(command, circuit, stop)
        finally:
            self._send(f"delete {number}")

    def _advance(self, command, circuit, stop):
        try:
            self._send(command)
        except SimulationError as error:
            reached = self._reached_time()
            raise self._failure(f"stopped at {reached:g} s of {stop:g} s", circuit, stop, str(error)) from error

    def _reached_time(self):
        plots = self._ngspice.plot_names
        times = Waveforms(self._ngspice.plot(None, plots[0])).time if plots[0].startswith("tran") else []
        return float(times[-1]) if len(times) else 0.0

    def _waveforms(self):
        return Waveforms(self._ngspice.plot(None, self._ngspice.last_plot))

    def _send_joined(self, commands):
        """Send commands, as many in one call as ngspice's line length allows."""
        line = ""
        for command in commands:
            if line and len(line) + len(command) + 1 > NgSpiceShared.MAX_COMMAND_LENGTH:
                self._send(line)
                line = ""
            line = f"{line};{command}" if line else command
        if line:
            self._send(line)

    def _send(self, command):
        try:
            with _interrupt_held_back():
                self._ngspice.exec_command(command)
        except (NgSpiceCommandError, NameError) as error:
            complaints = self._complaints()
            if complaints or not isinstance(error, NgSpiceCommandError):
                raise SimulationError(complaints or str(error)) from error

    def _complaints(self):
        lines = self._ngspice.stderr.splitlines()
        lines += [line for line in self._ngspice.stdout.splitlines() if "error" in line.lower()]
        said = [line.strip() for line in lines if not HARMLESS.search(line)]
        return "; ".join(dict.fromkeys(said)) if any(not WARNING.search(line) for line in said) else ""

    def _failure(self, what, circuit, stop, words):
        with tempfile.NamedTemporaryFile("w", prefix="failed_", suffix=".cir", delete=False) as file:
            file.write(circuit.netlist_with_changes(stop))
        said = f": {words}" if words else ""
        return SimulationError(f"ngspice {what}{said}. Netlist to rerun with ngspice -b: {file.name}")


def _tran_command(solver, stop):
    return f"tran {float(stop)!r} {float(stop)!r} 0 {float(solver.max_step)!r} uic"


def _value_text(value):
    return f"[ {' '.join(repr(float(v)) for v in value)} ]" if np.ndim(value) else repr(float(value))
