"""A circuit as ngspice holds it, and what is said when ngspice fails at it."""

import random
import re
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

from spice.deck import coupled, digital, drawn_at_random, included, lingers, remembers, settled_files, untitled
from spice.errors import SimulationError

NOTHING_SAVED = "no data saved"  # as ngspice says where no vector of .save exists


@dataclass(eq=False)
class Netlist:
    """A circuit as ngspice holds it: its `text`, and what was `sent` since, value by command, the oldest first."""

    text: str
    owner: Callable[[], object]  # gives None once nobody can use it any more
    sent: dict[str, str] = field(default_factory=dict)
    used: int = 0  # when it was chosen last, in an order of the engine's
    ran: bool = False  # since it was loaded
    integrated: bool = False  # a transient was among that

    def __post_init__(self) -> None:
        self.text = settled_files(self.text)
        self.files, self.lacking = dict[str, str](), ""  # by path, as they were when the circuit was loaded first
        try:
            self.files = included(self.text)
        except SimulationError as error:
            self.lacking = str(error)
        self.whole = "\n".join([untitled(self.text), *self.files.values()])
        self.remembers, self.digital, self.coupled, self.lingers = (
            tells(self.whole) for tells in (remembers, digital, coupled, lingers))
        self.seed = fresh_seed() if drawn_at_random(self.whole) else 0

    def changed(self) -> str:
        """The complaint about a file that the circuit includes and that is not there or not as it was: it would be another."""
        try:
            now = included(self.text)
        except SimulationError as error:
            return str(error)
        return next((f"{path} has changed since this circuit, which includes it, was loaded" for path in self.files
                     if now.get(path) != self.files[path]), "")

    def commands(self) -> list[str]:
        """What brings the circuit as loaded to the state that it has."""
        return [f"{command} = {value}" for command, value in self.sent.items()]

    def with_changes(self, command: str) -> str:
        """The netlist with all settings so far and an analysis, to rerun by hand."""
        seed = [f".options seed={self.seed}"] if self.seed else []
        block = [*seed, ".control", *self.commands(), command, ".endc", ".end", ""]
        return self.text.rsplit(".end", 1)[0] + "\n".join(block)


def failure(what: str, netlist: Netlist, command: str, words: str) -> SimulationError:
    """The error that says what ngspice did in its own words; the netlist is saved where it says, if it can be."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="failed_", suffix=".cir", delete=False) as file:
            file.write(netlist.with_changes(command))
        rerun = f"Netlist to rerun with ngspice -b: {shlex.quote(file.name)}"
    except OSError as error:  # a full disk, a folder that is gone
        rerun = f"Its netlist could not be saved: {error.strerror}"
    saved = " ".join(re.findall(r"^\.save +(.*)$", netlist.text, re.IGNORECASE | re.MULTILINE))
    said = f": {words}" * bool(words) + f" (none of {saved} is there)" * (NOTHING_SAVED in words)
    return SimulationError(f"ngspice {what}{said}. {rerun}")


def fresh_seed() -> int:
    """A seed for ngspice that nobody can foretell."""
    return random.SystemRandom().randint(1, 2**31 - 1)
