"""Command-line options that scripts share; `--set` changes any physical parameter."""

import argparse
import dataclasses
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from memristive.spice.parameters import ParameterError, allowed_range, check_range

# Folders of what the project itself makes, and the one of outputs about a user's own files, which git ignores.
RESULTS, FIGURES, NETWORKS, OWN = Path("results"), Path("figures"), Path("voltages"), Path("own")


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def add_number(self, option: str, low: int, high: int, default: int | None, meaning: str) -> None:
        """Add an option that takes a whole number from `low` to `high`."""
        stated = "" if default is None else f" (default: {default})"
        self.add_argument(option, type=whole_number(low, high), default=default, metavar="N", help=meaning + stated)


def make_parser(description: str | None, voltages: str = "", parameters: bool = True, netlist: bool = False) -> Parser:
    """Return a parser with the options that every script has.

    Parameters
    ----------
    description : str
        Docstring of the script.
    voltages : str
        Default of --voltages; "" for a script without trained voltages.
    parameters : bool
        Add --set and --parameters; see `apply_settings`.
    netlist : bool
        Add --netlist.
    """
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    if voltages:
        parser.add_argument("--voltages", type=Path, default=Path(voltages), metavar="FILE",
                            help=f"trained voltages (default: {voltages})")
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="DIR",
                        help="folder of figures (default: figures)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR",
                        help="folder of records (default: results)")
    parser.add_argument("--force", action="store_true", help="overwrite results that were made with other parameters")
    if parameters:
        parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", dest="settings",
                            help="change parameters, e.g. memristor.width=50e-6")
        parser.add_argument("--parameters", action="store_true", help="list all parameters with unit, range and default")
    if netlist:
        parser.add_argument("--netlist", type=Path, metavar="FILE", help="write the netlist for: ngspice -b FILE")
    return parser


def keep_apart(options: argparse.Namespace, *sources: str | Path | None) -> Path:
    """Let outputs about a user's own files go to own/, apart from the project's, unless options name other folders.

    Parameters
    ----------
    options : Namespace
        Parsed options of a parser; `results` and `figures` change.
    *sources : path, optional
        Inputs of the script. A file is the user's own if it is outside of results/ and voltages/. Names of presets are not.

    Returns
    -------
    Path
        Folder of networks: voltages/, or that of the records if these go elsewhere than to results/.
    """
    committed = {RESULTS.resolve(), NETWORKS.resolve()}
    files = [Path(source).resolve() for source in sources if source is not None and Path(source).is_file()]
    own = any(not committed.intersection(file.parents) for file in files)
    for name, default in (("results", RESULTS), ("figures", FIGURES)):
        if own and getattr(options, name) is default:  # not given: a folder that the user names is another object
            setattr(options, name, OWN)
    return NETWORKS if options.results is RESULTS else Path(options.results)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a `type` for argparse: a function that converts text to a whole number from `low` to `high`."""
    def parse(text: str) -> int:
        try:
            return int(check_range("the value", int(text), {"low": low, "high": high, "unit": "", "whole": True}))
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text}") from None
    return parse


def add_jobs(parser: Parser) -> Parser:
    """Add --jobs and --scheduler, for `parallel.run_tasks`; return the parser."""
    parser.add_number("--jobs", 1, 1024, None, "worker processes (default: one for each core)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="use the workers of a Dask scheduler (docs/cluster.md)")
    return parser


def add_resume(parser: Parser) -> Parser:
    """Add --resume, for `checkpoints.resumed`; return the parser."""
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    return parser


def apply_settings(options: argparse.Namespace, **groups: Any) -> tuple[Any, ...]:
    """Return the parameter groups with the changes of --set; with --parameters, print them all and exit.

    Parameters
    ----------
    options : Namespace
        Parsed options of a parser with parameters.
    **groups : Parameters
        Defaults by name, e.g. ``memristor=MemristorParameters()``, so that --set accepts the name "memristor.width".

    Raises
    ------
    ParameterError
        A name is unknown, or a value is outside its range.
    """
    if options.parameters:
        print(parameter_table(groups))
        sys.exit(0)
    changes: dict[str, dict[str, Any]] = {name: {} for name in groups}
    for setting in options.settings:
        name, _, text = setting.partition("=")
        group, _, field = name.partition(".")
        changes[group][field] = _value(name, text, _fields(groups)[name]) if name in _fields(groups) else _unknown(name, groups)
    return tuple(dataclasses.replace(parameters, **changes[name]) for name, parameters in groups.items())


def _fields(groups: Mapping[str, Any]) -> dict[str, dataclasses.Field[Any]]:
    return {f"{group}.{field.name}": field for group, parameters in groups.items()
            for field in dataclasses.fields(parameters) if "unit" in field.metadata}


def _value(name: str, text: str, field: dataclasses.Field[Any]) -> Any:
    try:
        return check_range(name, int(text) if field.metadata["whole"] else float(text), field.metadata)
    except ValueError:
        kind = "a whole number, " if field.metadata["whole"] else ""
        wanted = f"{kind}{allowed_range(field.metadata)}, a number like 50e-6"
        raise ParameterError(f"--set {name}=VALUE must be {wanted}, got {text!r}") from None


def _unknown(name: str, groups: Mapping[str, Any]) -> NoReturn:
    known = list(_fields(groups))
    word = name.rpartition(".")[2]
    close = difflib.get_close_matches(name, known, 3, 0.6) + [other for other in known if word and word in other]
    groups_here = ", ".join(f"{group}.*" for group in groups)
    hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else f"this script has {groups_here}; see --parameters"
    raise ParameterError(f"--set {name}: unknown parameter; {hint}")


def parameter_table(groups: Mapping[str, Any]) -> str:
    """Return all parameters of some groups as an aligned table: name, default, allowed range, meaning."""
    rows = []
    for name, field in _fields(groups).items():
        group, _, attribute = name.partition(".")
        unit = f" {field.metadata['unit']}" if field.metadata["unit"] else ""
        default = f"{getattr(groups[group], attribute):g}{unit}"
        rows.append((name, default, allowed_range(field.metadata), field.metadata["meaning"]))
    return table(("parameter", "default", "range", "meaning"), rows)


def table(heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows of text as an aligned table; numbers are aligned at the right."""
    cells = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row[k], (int, float)) for row in rows) for k in range(len(heading))]
    return "\n".join("  ".join(cell.rjust(width) if right else cell.ljust(width)
                               for cell, width, right in zip(row, widths, numeric, strict=True)).rstrip() for row in cells)
