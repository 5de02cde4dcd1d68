"""What all scripts share at the command line: options made from parameters, one-line errors, exit codes, handing over.

Exit codes: 0 done; 1 ngspice or a file failed; 2 something the user gave is wrong or missing; 130 stopped by Ctrl-C, 143 by
SIGTERM, 129 by a terminal that was closed.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from tqdm import tqdm

from datasets import DatasetError
from memristive.cli.process import guarded_output, stop_signals, undisturbed, unloadable
from memristive.io.claims import NotOverwritten
from memristive.io.files import ROOT, FileProblem, atomic_write, check_working_folder
from memristive.io.voltages import VoltagesError
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.energy import HIGHEST
from memristive.single_layer.operating_range import complaint
from memristive.single_layer.pulses import Schedule
from memristive.spice.errors import NgspiceMissing, SimulationError
from memristive.spice.parameters import ParameterError, allowed_range, check_range
from memristive.variability.chip import Chip, complaint_on
from snn_circuit import NetworkParameters

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

P = TypeVar("P", bound="DataclassInstance")
T = TypeVar("T")
OURS = "* written by a script, which overwrites it when it is run again"  # the second line of a netlist
BEFORE_TRAINING = "the network before this training; --netlist of a test or inference has it after"
PICTURES = (".png", ".gif")
NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that knows -1e-13 for a number."""

    def parse_known_args(self, args: Sequence[str] | None = None,  # type: ignore[override]
                         namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse, but a negative number in any notation is the value of the option before it."""
        joined: list[str] = []
        for word in sys.argv[1:] if args is None else args:
            if joined and joined[-1].startswith("--") and "=" not in joined[-1] and NEGATIVE.match(word):
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        found, rest = super().parse_known_args(joined, namespace)
        _load_figures(found.show)
        return found, rest

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _load_figures(show: bool) -> None:
    """Load what draws. It takes half a second, which a page has while ngspice, in a thread of its own, computes: so do this
    in another thread, except where `show` has to be found impossible before anything is done.

    Whatever draws imports `plotting` where it draws, for the same reason, once `figures_loaded` has returned.
    """
    def load() -> None:
        import plotting
        plotting.style(show)

    def load_early() -> None:
        with contextlib.suppress(Exception):  # what fails here fails again where it is needed
            load()

    if show:
        load()
    else:
        try:
            _early.append(threading.Thread(target=load_early, daemon=True))
            _early[-1].start()
        except RuntimeError:  # no room for a thread
            _early.pop()
            load()


_early: list[threading.Thread] = []


def figures_loaded() -> None:
    """Wait for what loads the libraries of figures: a module that fails to be loaded meanwhile is handed out half made."""
    for thread in _early:
        thread.join()
    try:
        import plotting  # noqa: F401
    except UnicodeDecodeError as error:  # matplotlib names no file
        raise FileProblem(f"matplotlib cannot read its settings, a file matplotlibrc in this folder perhaps: {error}") from error


class _Refusal(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        parser.error(f"{option_string} is {self.help}")


def make_parser(description: str | None, refused: Mapping[str, str] | None = None) -> Parser:
    """Parser with the options every script has; `refused` maps those this one has no use for to the reason.

    Scripts with voltages add --voltages themselves: for some it is where they read, for others where they write.
    """
    # Of --output 1 argparse would make --output-high 1, where somebody wanted to say where results go.
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    refused = refused or {}
    parser.add_argument("--figures", type=Path, default=ROOT / "figures", metavar="DIR",
                        help="where figures and results go (default: figures)")
    parser.add_argument("--show", action="store_true", help="show the figures in windows as well")
    if "--force" not in refused:
        parser.add_argument("--force", action="store_true", help="overwrite what was made with other parameters")
    if "--netlist" not in refused:
        parser.add_argument("--netlist", type=netlist_name, metavar="FILE",
                            help="write the exact netlist to FILE, for: ngspice -b FILE")
    for option, reason in refused.items():
        parser.add_argument(option, action=_Refusal, nargs="?", metavar="FILE", help=f"refused: {reason}")
    return parser


def refuse_resume_with_force(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with one line if both options are given."""
    if options.resume and options.force:
        parser.error("--resume goes on with what is there, --force starts afresh: give one of them")


def add_quantities(parser: argparse.ArgumentParser, parameters: Any, names: Container[str] | None = None,
                   defaults: Mapping[str, str] = MappingProxyType({})) -> None:
    """Add an option for each quantity (or those in `names`) of a parameter object; --help shows its values as the defaults,
    or what `defaults` says of some.

    Only what is given becomes an attribute of the parsed options, so that `quantities` can tell it from what is not.
    """
    group = parser.add_argument_group(type(parameters).__name__)
    for field in dataclasses.fields(parameters):
        if "unit" in field.metadata and (names is None or field.name in names):
            unit = f" {field.metadata['unit']}" if field.metadata["unit"] else ""
            default = defaults.get(field.name, f"{getattr(parameters, field.name):g}{unit}")
            group.add_argument(f"--{field.name.replace('_', '-')}", type=quantity_type(field), default=argparse.SUPPRESS,
                               metavar="X", help=f"{field.metadata['meaning']} (default: {default})")


def quantity_type(field: dataclasses.Field[Any]) -> Callable[[str], Any]:
    """Argument type of a dataclass field made by `parameters.quantity`."""
    return _number(field.type if isinstance(field.type, type) else type(field.default), field.metadata)


def _number(kind: type, metadata: Mapping[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return check_range("the value", kind(text), metadata)
        except ValueError as error:
            whole = "a whole number, " * (kind is int)
            raise argparse.ArgumentTypeError(f"must be {whole}{allowed_range(metadata)}, got {text}") from error
    return parse


def file_name(text: str) -> Path:
    """Argument type: the path of a file; an empty one is that of a variable that is not set, and no default."""
    if not text or text.endswith(os.sep):
        raise argparse.ArgumentTypeError(f"must name a file, got {text!r}")
    if Path(text).suffix.lower() in PICTURES:
        raise argparse.ArgumentTypeError(f"must not be named like a picture, got {text!r}")
    return Path(text)


def netlist_name(text: str) -> Path:
    """Argument type: as `file_name`, but none named like voltages and results, which `--force` would replace."""
    if Path(text).suffix.lower() == ".json":
        raise argparse.ArgumentTypeError(f"must not be named like voltages or results, got {text!r}")
    return file_name(text)


def whole_number(low: int, high: int) -> Callable[[str], Any]:
    """Argument type: a whole number from `low` to `high`."""
    return _number(int, {"low": low, "high": high, "unit": ""})


def volts(low: float, high: float) -> Callable[[str], Any]:
    """Argument type: a voltage from `low` to `high`, in V."""
    return _number(float, {"low": low, "high": high, "unit": "V"})


def quantities(parameters: P, given: Mapping[str, Any]) -> P:
    """A copy of the parameter object with the values that `given` has for it. Raises ParameterError."""
    names = {field.name for field in dataclasses.fields(parameters)}
    return dataclasses.replace(parameters, **{name: value for name, value in given.items() if name in names})


def print_energy(what: str, energy: Mapping[str, float], note: str = "") -> None:
    """Print the energies in J that `energy.py` measured, with a `note`, or that they are not to be had."""
    if math.isnan(energy["inputs"]):
        print(f"energy of {what}: not known above {HIGHEST:g} V, where the channels' junctions conduct")
        return
    print(f"energy of {what}: {energy['inputs'] * 1e6:.4g} uJ from the inputs, {energy['phi'] * 1e12:.4g} pJ from phi "
          f"(op-amps and transconductances are ideal and not counted{note})")


def draw(options: argparse.Namespace, name: str, plot: "Callable[..., Figure]", *arguments: Any, **more: Any) -> None:
    """Draw the figure `plot(*arguments, **more)` and save it as `name` where --figures says."""
    figures_loaded()
    import plotting
    print(f"wrote {plotting.save(plot(*arguments, **more), options.figures, name, options.show)}")


def write_netlist(path: Path | None, make: Callable[[], str], of: str = "") -> None:
    """Write the netlist that `make()` returns if the user asked for one: that of a large network takes a moment.

    `of`: what is to be said of the network in it.
    """
    if path is not None:
        title, rest = make().split("\n", 1)
        atomic_write(path, f"{title}\n{OURS}\n{rest}")
        print(f"wrote {path}{f' ({of})' * bool(of)}; run it with: ngspice -b {shlex.quote(str(path))}")


def netlist_of(options: argparse.Namespace) -> list[Path]:
    """The file that --netlist names, if it does: for `memristive.io.claims.claimed`.

    Raises NotOverwritten if something else is there than what `write_netlist` wrote.
    """
    path = options.netlist
    if path is None:
        return []
    if path.is_file() and not options.force:
        with open(path, "rb") as file:
            start = file.read(1000).splitlines()
        if start and start[1:2] != [OURS.encode()]:
            raise NotOverwritten(f"{path} is there, and no netlist of this project's; --force overwrites it")
    return [path]


def warn(said: str) -> bool:
    """Say on standard error what is wrong, if anything ("") is; returns whether."""
    if said:
        print(f"warning: {said}", file=sys.stderr)
    return bool(said)


def warn_of_range(network: NetworkParameters, schedule: Schedule, states: np.ndarray, images: np.ndarray,
                  chip: Chip | None = None, own: bool = False, rule: str | None = None, when: str = "",
                  before: str = "") -> str:
    """Say on standard error if membranes clip or no neuron can fire on `images`, and which parameter to change.

    `own`: the images are the patterns that the neurons learned, one each: said as well if one cannot fire on its own. On a
    `chip`, whose devices have ranges of their own, it is said of all. `rule`: what made the `states`. `when`: the words that
    say of which states it is; `before`: the complaint of earlier ones, of which the same is not said again. Returns the
    complaint, "" for none.
    """
    said = complaint(network, schedule, states, images, own, rule) if chip is None else complaint_on(
        chip, network, schedule, states, images, own)
    if said and said.partition(":")[0] != before.partition(":")[0]:
        warn(f"{when}{said}")
    return said


def warn_of_closed_form(network: NetworkParameters, schedule: Schedule) -> None:
    """Say on standard error if the closed form is not good for nanoseconds with these parameters."""
    doubts = Crossbar.of(network, schedule).doubts
    if doubts:
        warn(f"the closed form is not exact here, --engine ngspice is the judge: {'; '.join(doubts)}")


def progress(steps: Iterable[T], total: int, description: str, unit: str, quick: float = 2.0) -> "tqdm[T]":
    """A progress bar on a terminal, once `steps` take longer than `quick` seconds."""
    return tqdm(steps, total=total, desc=description, unit=unit, delay=quick, dynamic_ncols=True, leave=False,
                disable=None)


def _told(error: BaseException, came: Sequence[int]) -> tuple[int, str]:
    """The exit code and line of an error, if the `came` signals stopped the script or it is one that is told in a line.

    Raises it again otherwise.
    """
    if isinstance(error, FileProblem):  # also when a stopped run could not be saved
        return 1, str(error)
    if _stopped(error):
        number = signal.Signals(came[0]) if came else signal.SIGINT
        return 128 + number, f"stopped by {'Ctrl-C' if number == signal.SIGINT else number.name}"
    if isinstance(error, (ParameterError, VoltagesError, NotOverwritten, DatasetError, NgspiceMissing)):
        return 2, str(error)
    if isinstance(error, SimulationError):
        return 1, str(error)
    if isinstance(error, (MemoryError, ImportError)):  # a library that finds no room to be loaded says ImportError
        return 1, unloadable(error)
    raise


def _stopped(error: BaseException | None) -> bool:
    """Whether it is a stop, or what a library has made of one: classes that are being made and zipfile raise others instead."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def run(main: Callable[[list[str] | None], int | None], arguments: list[str] | None = None) -> int:
    """Run a script's `main(arguments)`; return its exit code, after one line on whatever went wrong."""
    name = Path(sys.argv[0]).name
    with stop_signals() as came, guarded_output() as output:
        try:
            check_working_folder()
            code = main(arguments) or 0
            said = ""
        except BaseException as error:
            with undisturbed():
                code, said = _told(error, came)
        output.flush()
        if output.problem and not isinstance(output.problem, BrokenPipeError):  # a reader that left wants no word
            said = said or f"standard output cannot be written: {output.problem}"
            code = code or 1
        if said:
            print(f"{name}: {said}", file=sys.stderr)
    return code
