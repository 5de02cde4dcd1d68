"""Frame of all scripts: options, record, progress, printed tables, errors in one line, exit codes.

`--set` changes any physical parameter. Exit codes: 0 done; 1 ngspice, a file or standard output
failed; 2 wrong input; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import argparse
import dataclasses
import functools
import importlib
import json
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from memristive.datasets import DATASETS, dataset_name
from memristive.io import records
from memristive.io.voltages import VoltagesError
from memristive.network.crossbar import hebbian_state
from memristive.network.design import ENGINES, Setup
from memristive.parameters import (
    Fields,
    NgspiceMissing,
    ParameterError,
    SimulationError,
    Values,
    allowed_range,
    as_whole,
    check_range,
    did_you_mean,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Folders of what the project itself makes, and the one of outputs about a user's own files, which
# git ignores.
RESULTS, FIGURES, NETWORKS, OWN = Path("results"), Path("figures"), Path("voltages"), Path("own")


Task = TypeVar("Task")
Result = TypeVar("Result")


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def add_number(
        self, option: str, low: int, high: int, default: int | None, meaning: str
    ) -> None:
        """Add an option that takes a whole number from `low` to `high`. Its help is `meaning` and
        the default.
        """
        stated = "" if default is None else f" (default: {default})"
        self.add_argument(
            option,
            type=whole_number(low, high),
            default=default,
            metavar="N",
            help=meaning + stated,
        )

    def add_common(self, option: str, default: object, note: str = "", **changed: Any) -> None:
        """Add an option that has the same meaning in each script. In --help, `note` stands in place
        of the default. `changed` replaces arguments of `add_argument`.
        """
        given: dict[str, Fields] = {
            "--data": {
                "type": dataset_name,
                "metavar": "DATA",
                "help": f"{', '.join(DATASETS)}, or a file of your own images",
            },
            "--device": {
                "metavar": "FILE",
                "help": "measured device: a preset's name or a device file",
            },
            "--engine": {
                "choices": ENGINES,
                "help": "engine that trains, or reads a trained network",
            },
            "--test-engine": {
                "choices": ENGINES,
                "help": "engine that reads test images after a training",
            },
            "--hidden": {
                "type": whole_number(1, 10_000),
                "nargs": "*",
                "metavar": "N",
                "help": "neurons of each hidden layer; nothing for a single layer",
            },
            "--chip": {"metavar": "NAME", "help": "chip file or preset, docs/chips.md"},
            "--voltages": {"type": Path, "metavar": "FILE", "help": "trained network"},
            "--samples": {
                "type": whole_number(1, 10**6),
                "metavar": "N",
                "help": "only the first N test images",
            },
            "--seeds": {
                "type": whole_number(1, 1000),
                "metavar": "K",
                "help": "networks or trials that differ by their seed",
            },
        }
        note = note or (f"default: {default}" if default is not None else "")
        meaning = given[option]["help"] + (f" ({note})" if note else "")
        self.add_argument(
            option, **{**given[option], "default": default, "help": meaning, **changed}
        )


class AlsoPdf(argparse.Action):
    """Let `plotting.save` write a PDF file beside each PNG file."""

    def __call__(self, *_: object) -> None:
        """Set matplotlib's format."""
        import matplotlib

        matplotlib.rcParams["savefig.format"] = "pdf"


def make_parser(
    description: str | None,
    folder: str = "",
    voltages: str = "",
    parameters: bool = True,
    netlist: bool = False,
) -> Parser:
    """Return a parser with the options that every script has.

    Parameters
    ----------
    description : str
        Docstring of the script.
    folder : str
        Folder of the script's records in results/, which --results replaces.
    voltages : str
        Default of --voltages; "" for a script without trained voltages.
    parameters : bool
        Add --set and --parameters, for `apply_settings`.
    netlist : bool
        Add --netlist.
    """
    parser = Parser(
        prog=Path(sys.argv[0]).name,  # "memristive fit" of a command
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if voltages:
        parser.add_argument(
            "--voltages",
            type=Path,
            default=Path(voltages),
            metavar="FILE",
            help=f"trained voltages (default: {voltages})",
        )
    parser.add_argument(
        "--figures",
        type=Path,
        default=FIGURES,
        metavar="DIR",
        help="folder of figures (default: %(default)s)",
    )
    parser.add_argument(
        "--pdf", action=AlsoPdf, nargs=0, help="write each figure as PDF, too, for papers"
    )
    parser.set_defaults(default_results=RESULTS / folder)
    parser.add_argument(
        "--results",
        type=Path,
        default=parser.get_default("default_results"),
        metavar="DIR",
        help="folder of records (default: %(default)s)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite results that were made with other parameters",
    )
    if parameters:
        parser.add_argument(
            "--set",
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME=VALUE",
            dest="settings",
            help="change parameters, e.g. memristor.width=50e-6",
        )
        parser.add_argument(
            "--parameters",
            action="store_true",
            help="list all parameters with unit, range and default",
        )
    if netlist:
        parser.add_argument(
            "--netlist", type=Path, metavar="FILE", help="write the netlist for: ngspice -b FILE"
        )
    return parser


def keep_apart(options: argparse.Namespace, *sources: str | Path | None) -> Path:
    """Send outputs about a user's own files to the folder own/, apart from the project's outputs,
    unless options name other folders.

    Parameters
    ----------
    options : Namespace
        Parsed options of a parser; `results` and `figures` change.
    *sources : path, optional
        Inputs of the script. A file is the user's own if it is outside of results/ and voltages/.
        Names of presets are not.

    Returns
    -------
    Path
        Folder for trained networks: voltages/, or the folder of the records if this is not the
        default one.
    """
    committed = {RESULTS.resolve(), NETWORKS.resolve()}
    files = [
        Path(source).resolve()
        for source in sources
        if source is not None and Path(source).is_file()
    ]
    own = any(not committed.intersection(file.parents) for file in files)
    for name, default in (("results", options.default_results), ("figures", FIGURES)):
        # not given: a folder that the user names is another object
        if own and getattr(options, name) is default:
            setattr(options, name, OWN)
    return NETWORKS if options.results is options.default_results else Path(options.results)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a `type` for argparse: a function that converts text to a whole number from `low` to
    `high`.
    """

    def parse(text: str) -> int:
        try:
            return as_whole("the value", float(text), low, high)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {low} to {high}, got {text}"
            ) from None

    return parse


def add_jobs(parser: Parser) -> Parser:
    """Add --jobs and --scheduler, for `parallel.run_tasks`; return the parser."""
    parser.add_number("--jobs", 1, 1024, None, "worker processes (default: one for each core)")
    parser.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="use the workers of a Dask scheduler (docs/setup.md)",
    )
    return parser


def add_resume(parser: Parser) -> Parser:
    """Add --resume, for `records.resumed`, and the options of `add_jobs`; return the parser."""
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of an interrupted run"
    )
    return add_jobs(parser)


class Record:
    """Record of a run: the file NAME.json in the folder of --results. Raises NotOverwritten if an
    earlier file has other parameters, unless --force is given, and ParameterError if NAME is no
    plain file name.

    Parameters
    ----------
    options : Namespace
        Options of the command line, with `results` and `force`.
    name : str
        NAME of the file.
    parameters : mapping
        Everything that determines the results.
    others : sequence of paths
        Further files that the run reads or writes and must not overwrite.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        name: str,
        parameters: Values,
        others: Sequence[str | Path | None] = (),
    ) -> None:
        if Path(name).name != name:
            raise ParameterError(
                f"{name!r} cannot name a file in {options.results}: leave out folders and slashes"
            )
        self.options = options
        self.path = options.results / f"{name}.json"
        self.parameters = parameters
        self.others = others
        records.check_overwriting(self.path, parameters, options.force, others, "--results DIR")

    def run_tasks(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        sizes: Sequence[int] | None = None,
    ) -> list[Result]:
        """Return `function(task)` for each of the tasks, with a checkpoint of the completed tasks
        beside the record.

        `write` deletes the checkpoint. The parser needs the options of `add_resume`. A run can be
        resumed only with the same parameters.

        Parameters
        ----------
        function : callable
            Defined in a module, so that workers can import it; returns what JSON can hold.
        tasks : sequence
            Arguments of the function.
        sizes : sequence of int, optional
            Images of each task, for the progress bar.
        """
        from memristive.cli.parallel import run_tasks  # here: most scripts run no tasks

        options, parameters, checkpoint = (
            self.options,
            self.parameters,
            records.checkpoint_path(self.path),
        )
        saved = records.resumed(
            checkpoint, parameters, options.resume, options.force, {"found": "{}"}
        )
        results: Fields = json.loads(str(saved["found"])) if saved else {}
        left = [k for k in range(len(tasks)) if str(k) not in results]
        with records.checkpoint_at_interrupt(
            checkpoint, lambda: {"found": records.to_json(results)}, parameters
        ):
            for k, result in run_tasks(
                function,
                [tasks[k] for k in left],
                options.jobs,
                options.scheduler,
                sizes and [sizes[k] for k in left],
                "running",
            ):
                results[str(left[k])] = result
                records.save_checkpoint(checkpoint, {"found": records.to_json(results)}, parameters)
        return [results[str(k)] for k in range(len(tasks))]

    def write(self, results: Values, ngspice: bool = True) -> None:
        """Write the record with these results, print its path and delete its checkpoint. An earlier
        record stays only if it has changed since the start (`records.write_json`).

        Parameters
        ----------
        results : mapping
            Results; a table is a list of dictionaries called "rows".
        ngspice : bool
            True if ngspice had a part in the results, so that its version is recorded.
        """
        content = {**results, "parameters": self.parameters, "versions": records.versions(ngspice)}
        records.write_json(self.path, content, overwrite=True)
        records.checkpoint_path(self.path).unlink(missing_ok=True)
        records.report(f"wrote {self.path}")

    def write_netlist(self, text: Callable[[], str]) -> None:
        """Write a netlist to the file of --netlist, if the user gave one; print how to run it.

        `text` returns the netlist. It is called only if the file is wanted, because the netlist of
        a large network takes seconds.
        """
        path = self.options.netlist
        if path is not None:
            records.check_overwriting(
                path, None, self.options.force, [*self.others, self.path], "--netlist FILE"
            )
            records.write_file(path, text())
            records.report(f"wrote {path}; run it with: ngspice -b {shlex.quote(str(path))}")

    def plot(self, figure: "Figure", part: str = "") -> None:
        """Write a figure to the folder of --figures: NAME.png, with a `part` NAME_PART.png."""
        from memristive import (
            plotting,  # here: matplotlib takes a third of a second, which --help does not need
        )

        plotting.save(
            figure, self.options.figures / f"{self.path.stem}{f'_{part}' if part else ''}.png"
        )


def apply_settings(options: argparse.Namespace, **groups: Any) -> tuple[Any, ...]:
    """Return the parameter groups with the changes of --set; with --parameters, print them all and
    exit.

    Parameters
    ----------
    options : Namespace
        Parsed options of a parser with parameters.
    **groups : Parameters
        Defaults by name, e.g. ``memristor=MemristorParameters()``, so that --set accepts the name
        "memristor.width".

    Raises
    ------
    ParameterError
        A name is unknown, or a value is outside its range.
    """
    changes = changed_settings(options, **groups)
    return tuple(
        dataclasses.replace(
            parameters,
            **{
                name.removeprefix(f"{group}."): value
                for name, value in changes.items()
                if name.startswith(f"{group}.")
            },
        )
        for group, parameters in groups.items()
    )


def changed_settings(options: argparse.Namespace, **groups: Any) -> Fields:
    """Return the changes of --set by name, such as "memristor.width"; arguments, --parameters and
    errors are as in `apply_settings`.
    """
    known = {
        f"{group}.{field.name}": field
        for group, parameters in groups.items()
        for field in dataclasses.fields(parameters)
        if "unit" in field.metadata
    }
    if options.parameters:
        rows = []
        for name, field in known.items():
            group, _, attribute = name.partition(".")
            unit = f" {field.metadata['unit']}" if field.metadata["unit"] else ""
            default = f"{getattr(groups[group], attribute):g}{unit}"
            rows.append((name, default, allowed_range(field.metadata), field.metadata["meaning"]))
        print(table(("parameter", "default", "range", "meaning"), rows))
        sys.exit(0)
    changes: Fields = {}
    for setting in options.settings:
        name, _, text = setting.partition("=")
        if name not in known:
            word = name.rpartition(".")[2]
            same = [other for other in known if word and word in other.rpartition(".")[2]]
            near = f"; did you mean {', '.join(same)}?" if same else did_you_mean(name, known)
            raise ParameterError(f"--set {name}: unknown parameter, see --parameters{near}")
        metadata = known[name].metadata
        try:
            changes[name] = check_range(name, float(text), metadata)
        except ValueError:
            kind = "a whole number" if metadata["whole"] else "a number like 50e-6"
            raise ParameterError(
                f"--set {name}=VALUE must be {kind}, {allowed_range(metadata)}, got {text!r}"
            ) from None
    return changes


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return `heading` and `rows` as the text of an aligned table; columns of numbers are aligned
    at the right.
    """
    cells = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row[k], (int, float)) for row in rows) for k in range(len(heading))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def print_rows(rows: Sequence[Values]) -> None:
    """Print the rows of a record as a table; without rows nothing."""
    import pandas as pd  # here: the import takes half a second

    if rows:
        print(
            pd.DataFrame(rows)
            .rename(columns=lambda name: str(name).replace("_", " "))
            .to_string(index=False, float_format="{:.4g}".format, na_rep="")
        )


def print_training(
    setup: Setup, labels: Sequence[str], patterns: np.ndarray, states: np.ndarray
) -> None:
    """Print the lowest and the highest trained state of each class, of emulators beside what the
    closed form predicts. `patterns`, `states`: classes x inputs.

    States of two-terminal devices are printed as shares of the conductance range.
    """
    cells, kind = (setup.array.shares(states), "share") if setup.array else (states, "X/V")

    def limits(values: np.ndarray) -> str:
        return f"{values.min():z.4f} to {values.max():z.4f}" if len(values) else "-"

    rows = [
        (label, on.sum(), limits(row[on]), limits(row[~on]))
        for label, on, row in zip(labels, patterns > 0, cells, strict=True)
    ]
    print(f"trained {states.shape[0]} x {states.shape[1]} cells")
    print(table(("class", "pixels on", f"{kind} of these", f"{kind} of others"), rows))
    if setup.array:
        settled = setup.neuron.transresistance * np.diag(setup.array.currents(cells, patterns))
        print(
            f"feedback resistor {setup.neuron.feedback_resistance:.4g} ohm: membranes of trained "
            f"patterns settle at {settled.min():.3g} to {settled.max():.3g} V, the threshold is "
            f"{setup.neuron.threshold:g} V"
        )
    else:
        print(
            "closed form for a full pixel, with edges, leak and offset: "
            f"{hebbian_state(setup):.4f} V; time constant of the leak: "
            f"{setup.memristor.write_time_constant:.3g} s"
        )


def print_decisions(
    labels: Sequence[str], decisions: Sequence[str], spikes: np.ndarray, leads: Sequence[float]
) -> None:
    """Print the decision, first spike time and lead of each presented pattern.

    `labels`, `decisions`: names of the patterns and of their decisions. `spikes`: patterns x
    neurons, s, nan for silent neurons. `leads`: patterns, s; inf: one neuron fired alone, nan: none
    fired.
    """
    firsts = np.fmin.reduce(spikes, axis=1)
    rows = [
        (label, decision, f"{first * 1e6:.3f}", f"{lead * 1e6:.3f}")
        for label, decision, first, lead in zip(labels, decisions, firsts, leads, strict=True)
    ]
    print(table(("pattern", "decision", "first spike/us", "lead/us (inf: fires alone)"), rows))


WRONG_INPUT = (ParameterError, VoltagesError, records.NotOverwritten, NgspiceMissing)
FAILED = (SimulationError, records.FileProblem, OSError)


Main = Callable[[list[str] | None], int | None]


def run(main: Main) -> NoReturn:
    """Run a script's `main`, and exit.

    `python -m` runs a module under the name `__main__`. Workers import the functions that they run,
    so the module is imported again under its own name.
    """
    module = sys.modules[main.__module__].__spec__
    sys.exit(exit_code(importlib.import_module(module.name).main if module else main))


def exit_code(main: Main, arguments: list[str] | None = None) -> int:
    """Run a script's `main(arguments)`; return its exit code. Wrong input and failures of ngspice
    or of files are printed in one line.
    """
    received = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    warnings.showwarning = functools.partial(_show_warning, set())
    name = Path(sys.argv[0]).name
    try:
        code = main(arguments) or 0
        sys.stdout.flush()  # a full disk or a closed pipe is an OSError
        return code
    except KeyboardInterrupt:
        number = signal.SIGTERM if received else signal.SIGINT
        message, code = f"stopped by {'SIGTERM' if received else 'Ctrl-C'}", 128 + number
    except WRONG_INPUT as error:
        message, code = str(error), 2
    except FAILED as error:
        message, code = str(error), 1
    print(f"{name}: {message}", file=sys.stderr)
    return code


def _show_warning(shown: set[str], message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning that is not among those `shown`: workers repeat what they share."""
    if str(message) not in shown:
        shown.add(str(message))
        print(f"warning: {message}", file=sys.stderr)
