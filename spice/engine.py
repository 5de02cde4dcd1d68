"""The one ngspice of a process: its circuits, one thread at a time, complaints as exceptions, a new start where it gives up."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from PySpice.Spice.NgSpice.Shared import NgSpiceCircuitError, NgSpiceCommandError, NgSpiceShared

from spice.circuits import Netlist, failure, fresh_seed
from spice.deck import malformed, unheard, untitled
from spice.errors import NgspiceMissing, SimulationError
from spice.interrupts import signals_held
from spice.library import Ngspice, decimal_points, start_ngspice
from spice.words import say_once, understood

MOST_CIRCUITS = 100  # that ngspice has room for; with one more, it crashes at an unload later (measured: ngspice 44)


class Engine:
    """One ngspice and the circuits loaded into it. Raises NgspiceMissing.

    ngspice has global variables: it must not be used by two threads. A thread other than the one that uses it already is
    refused with SimulationError, until that one has ended.
    """

    def __init__(self) -> None:
        self._owner = threading.current_thread()
        self._taking_over = threading.Lock()
        self.ngspice: Ngspice = start_ngspice()
        self._circuits: list[Netlist] = []  # that ngspice holds, the oldest first
        self._waiting: list[Netlist] = []  # for which it has no room: they are loaded again when they are needed
        self._uses = 0
        self._selected: Netlist | None = None
        self._paused: object = None  # whose run is under way, and whose results are kept
        self._running: Netlist | None = None  # and its circuit
        self._breakpoint: tuple[Netlist, str] | None = None  # the circuit that pauses, and ngspice's number for where
        self._lost = False  # ngspice has given up, or a run that could not be stopped has it

    # Circuits

    def load(self, netlist: Netlist) -> None:
        """Load a circuit; raise SimulationError if ngspice, or anyone who reads the netlist, must refuse it."""
        with signals_held():  # what ngspice has and what is known of it change together
            self._ready()
            for dropped in [kept for kept in self._circuits + self._waiting if kept.owner() is None]:
                self.unload(dropped)
            self._make_room()
            self._ready()
            self._use(netlist)
            complaints = netlist.lacking or malformed(netlist.text, netlist.files.values()) or self._load(netlist)
            if complaints:
                raise failure("refused the netlist", netlist, "op", complaints)
            for warning in unheard(netlist.text, netlist.files.values()):
                say_once(f"Warning: {warning}: ngspice ignores it")

    def _use(self, netlist: Netlist) -> None:
        netlist.used = self._uses = self._uses + 1

    def _load(self, netlist: Netlist) -> str:
        if self._paused is not None and self._running is not None and self._running.digital:
            self.end(self._paused)  # a paused run of digital models crashes if another circuit is loaded
        error, self._selected, netlist.ran, netlist.integrated = "", None, False, False
        if netlist.seed:  # loaded again, it is the same circuit
            self._send(f"setseed {netlist.seed}")
        try:
            with decimal_points(), signals_held():
                self.ngspice.load_circuit(untitled(netlist.text))
        except NgSpiceCircuitError as refused:
            error = str(refused) or "Error"
        except NameError as refused:
            error = str(refused)
        complaints = self._complaints() or error
        if complaints:
            self._forget_refused()
        else:
            self._circuits.append(netlist)
            self._selected = netlist
        if not self._lost:
            if netlist.seed:  # the same noise must not come once more
                self._send(f"setseed {fresh_seed()}")
            self._send("unset cshunt_value;unset interp")  # an option that ngspice would keep for every circuit to come
        return complaints

    def _forget_refused(self) -> None:
        # ngspice keeps a netlist that it could parse, whatever it complains of: it would shift the numbers of all others.
        if self._lost:
            return
        self._ask("echo")  # a complaint without the end of its line would be the next circuit's
        if len(self._ask("setcirc")) - 1 > len(self._circuits):  # a heading, then a line each
            self._send("setcirc 1")
            self._send("remcirc")

    def _make_room(self) -> None:
        if len(self._circuits) >= MOST_CIRCUITS:
            others = (netlist for netlist in self._circuits if netlist is not self._running)
            longest = min(others, key=lambda netlist: netlist.used)
            self.unload(longest)
            self._waiting.append(longest)

    def unload(self, netlist: Netlist) -> None:
        """Remove a loaded circuit and free its memory."""
        with signals_held():
            if netlist in self._waiting:
                self._waiting.remove(netlist)
                return
            if self._lost and netlist in self._circuits:  # the fresh ngspice need not know of it
                self._circuits.remove(netlist)
                return
            if self._left_behind(netlist):  # nor may it be freed
                self._circuits.remove(netlist)
                self._lost = True
                return
            self.select(netlist)
            self._send("remcirc")
            self._circuits.remove(netlist)
            self._selected = None

    def select(self, netlist: Netlist) -> None:
        """Make a circuit the one that commands are about; raise SimulationError if it has been unloaded."""
        self._ready()
        self._use(netlist)
        if netlist in self._waiting:
            with signals_held():
                self._make_room()
                self._waiting.remove(netlist)
                self._load_again(netlist)
        if netlist not in self._circuits:
            raise SimulationError("this circuit has been unloaded, or could not be loaded again into a fresh ngspice")
        if self._selected is not netlist:
            with signals_held():  # ngspice numbers its circuits from the newest, 1, to the oldest
                self._send(f"setcirc {len(self._circuits) - self._circuits.index(netlist)}")
                self._selected = netlist

    def set(self, netlist: Netlist, settings: dict[str, str]) -> None:
        """Send settings, value by command, to a loaded circuit, which keeps them for every run to come."""
        sent = [f"{command} = {value}" for command, value in settings.items()]
        longest = max(sent, key=len, default="")
        if len(longest) > NgSpiceShared.MAX_COMMAND_LENGTH:
            raise SimulationError(f"{longest[:40]}... has {len(longest)} characters, and ngspice takes no more than "
                                  f"{NgSpiceShared.MAX_COMMAND_LENGTH} in an alter: give fewer points, or load another netlist")
        with signals_held():
            self.select(netlist)
            try:
                self._send_joined(sent)
            except SimulationError:
                self.restore(netlist)
                raise
            for command, value in settings.items():
                netlist.sent.pop(command, None)
                netlist.sent[command] = value

    def restore(self, netlist: Netlist) -> None:
        """Load a circuit again as it is known to be, whatever ngspice has made of it since.

        After settings of which it took some, a sweep that ended early, a first run of what runs right but once.
        """
        with signals_held():
            if self._lost or netlist in self._waiting:  # it will be loaded again anyway
                return
            if self._running is netlist:
                self._paused = self._running = None
            self.unload(netlist)
            self._load_again(netlist)

    def _left_behind(self, netlist: Netlist) -> bool:
        """Whether an earlier run has left what this circuit must not meet: no ngspice but a fresh one is safe from it."""
        return netlist.lingers and any(other.lingers and other.ran for other in self._circuits)

    def _load_again(self, netlist: Netlist) -> None:
        """Raises SimulationError if it is not to be had again; then it counts as unloaded."""
        self._ready()
        complaints = netlist.changed() or self._load(netlist)
        if complaints:
            raise failure("could not load the circuit again", netlist, "op", complaints)
        self._send_joined(netlist.commands())

    # Runs

    def begin(self, run: object, netlist: Netlist, command: str) -> None:
        """Claim ngspice's results for `command`, an analysis of a circuit; another one that was paused is over."""
        self._ready()
        if self._paused is not None:
            self.end(self._paused)
        self._delete_breakpoint()
        # In a DC sweep junctions would go on integrating their charges as in the last transient; an operating point that ngspice
        # has to look for by a transient would begin at its initial conditions; inductors stay coupled as in its last step.
        if self._left_behind(netlist):
            self._lost = True
            self._ready()
        stale = not command.startswith("tran") or (netlist.coupled and not command.endswith("uic"))
        if (netlist.remembers and netlist.ran) or (netlist.integrated and stale):
            self.restore(netlist)
        self._paused = run

    def check(self, run: object) -> None:
        """Raise SimulationError if a paused run is over."""
        self._ready()
        if self._paused is not run:
            raise SimulationError("a paused run cannot go on once another one has begun, or, of digital models, another circuit "
                                  "was loaded, or ngspice had to be started anew")

    def end(self, run: object) -> None:
        """Free the results of a run, unless another one has begun."""
        if self._paused is run:
            self._paused = self._running = None
            if not self._lost:
                self._ready()
                self._send("destroy all")

    def advance(self, netlist: Netlist, command: str, whole: str, what: Callable[[], str]) -> None:
        """Run `command` on a circuit until it ends or pauses, stopping at once for what a signal's handler raises.

        Raises SimulationError, with `what()` in its words and the netlist saved with the command `whole`, if ngspice complains.
        """
        self.select(netlist)
        self._running, netlist.ran = netlist, True
        netlist.integrated = netlist.integrated or command.startswith("tran")
        try:
            self._heed(self.ngspice.run_in_background, command)
        except SimulationError as error:
            raise failure(what(), netlist, whole, str(error)) from error

    def pause_at(self, netlist: Netlist, condition: str, advance: Callable[[], None]) -> None:
        """`advance()` until a condition on the time is met."""
        with decimal_points(), signals_held():
            self.select(netlist)
            self._send(f"stop when {condition}")
            self._breakpoint = netlist, self._ask("status")[-1].split()[0]
        try:
            advance()
        finally:
            self._delete_breakpoint()

    def _delete_breakpoint(self) -> None:
        # This one alone: "delete all" would forget the saved vectors too, and then ngspice keeps every node.
        if self._breakpoint is None or self._lost:
            return
        netlist, number = self._breakpoint
        with signals_held():
            if netlist in self._circuits:
                self.select(netlist)
                self._send(f"delete {number}")
            self._breakpoint = None

    def results(self, kind: str) -> Any:
        """The newest plot, if it is of this kind ("tran"), else an empty one."""
        if self._lost:
            return {}
        name = self.ngspice.last_plot
        return self.ngspice.plot(None, name) if name.startswith(kind) else {}

    # What is sent, and what comes back

    def _ready(self) -> None:
        here = threading.current_thread()
        with self._taking_over:
            if here is not self._owner and self._owner.is_alive():
                raise SimulationError(f"ngspice is used by thread {self._owner.name!r} of this process and cannot be used by "
                                      f"{here.name!r} too; use several processes, each with a session of its own")
            self._owner = here
        if self._lost:
            self._start_again()

    def _start_again(self) -> None:
        """A fresh ngspice with the same circuits in the same state."""
        with signals_held():
            circuits = list(self._circuits)
            try:
                while self._lost:
                    self._lost, self._paused, self._running, self._breakpoint, self._circuits = False, None, None, None, []
                    self.ngspice = start_ngspice()
                    self._load_all(circuits)
            except (NgspiceMissing, SimulationError) as error:
                self._lost, self._circuits = True, circuits
                raise SimulationError(f"ngspice has given up and cannot be started again: {error}") from error

    def _load_all(self, circuits: list[Netlist]) -> None:
        for netlist in list(circuits):
            if netlist.changed() or self._load(netlist):  # it counts as unloaded from here on
                circuits.remove(netlist)
            if self._lost:
                return
            if netlist in circuits:
                self._send_joined(netlist.commands())

    def _send_joined(self, commands: Iterable[str]) -> None:
        """Send commands, as many in one call as ngspice's line length allows."""
        line = ""
        for command in commands:
            if line and len(line) + len(command) + 1 > NgSpiceShared.MAX_COMMAND_LENGTH:
                self._send(line)
                line = ""
            line = f"{line};{command}" if line else command
        if line:
            self._send(line)

    def _ask(self, command: str) -> list[str]:
        """What ngspice lists, line by line; names of the user's among it may be called "error"."""
        with decimal_points(), signals_held(), contextlib.suppress(NgSpiceCommandError):
            self.ngspice.exec_command(command)
        return list(self.ngspice.stdout.splitlines())

    def _send(self, command: str) -> None:
        self._heed(lambda command, deliver: self.ngspice.exec_command(command), command)

    def _heed(self, execute: Callable[[str, Callable[[], None]], object], command: str) -> None:
        try:
            with decimal_points(), signals_held() as deliver:
                execute(command, deliver)
        except NameError as error:
            complaints = self._complaints()
            if complaints or not isinstance(error, NgSpiceCommandError):
                raise SimulationError(complaints or str(error)) from error
        finally:
            self._lost = self._lost or self.ngspice.stuck

    def _complaints(self) -> str:
        said = understood(self.ngspice.stderr, self.ngspice.stdout)
        self._lost = self._lost or said.lost
        return said.complaints


_engines: list[Engine] = []
_making = threading.Lock()


def shared_engine() -> Engine:
    """The engine of this process, started at the first call. Raises NgspiceMissing, or SimulationError in a second thread."""
    with _making:
        if not _engines:
            _engines.append(Engine())
        _engines[0]._ready()
        return _engines[0]
