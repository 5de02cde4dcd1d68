"""Take a device or a network elsewhere: SPICE, Verilog-A, aihwkit, the laboratory.

FILE is a preset's name, a device file (of memristive fit or memristive measure), or a trained
network. A device gives a library for ngspice, LTspice and Xyce with its model file, a Verilog-A
module, and the arguments of aihwkit's PiecewiseStepDevice. A network gives the conductance of each
cell in S, one table for each layer, and the circuit around the cells: resistors, amplifiers,
neurons, voltages and times. A network of measured devices gives the pulses that write it, too: row,
column, direction, number. The pulses start from cells at the lowest conductance, or from the state
that --start gives. With readings of your array as --start, the table has the pulses that are still
missing.

docs/export.md describes the files. They go to own/NAME/. Some seconds.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from memristive.cli.script import OWN, make_parser
from memristive.devices.export import files, identifier
from memristive.devices.measured_device import PRESETS, load_device
from memristive.io.laboratory import conductance_tables, laboratory_files
from memristive.io.networks import load
from memristive.io.nir_graph import save_nir
from memristive.io.records import check_overwriting, report, write_file
from memristive.io.voltages import is_voltages, read_voltages
from memristive.parameters import ParameterError

if TYPE_CHECKING:
    import pandas as pd


def main(arguments: list[str] | None = None) -> None:
    """Read a device or a network, convert it, write the files."""
    parser = make_parser(__doc__, parameters=False)
    parser.set_defaults(results=OWN)
    parser.add_argument("file", metavar="FILE", help="preset, device file or trained network")
    parser.add_argument(
        "--start",
        nargs="+",
        default=["0"],
        metavar="CSV",
        help="conductances of the array now, one file for each layer as written here, or one share "
        "of the conductance range (default: 0)",
    )
    parser.add_argument(
        "--nir", action="store_true", help="also write a network as a graph of NIR, NAME.nir"
    )
    options = parser.parse_args(arguments)
    sources: list[str | Path] = [options.file, *options.start]

    if options.file not in PRESETS and is_voltages(options.file):
        folder = options.results / Path(options.file).stem
        texts = network_files(options.file, options.start)
    else:
        device = load_device(options.file)
        folder, texts = options.results / identifier(device.name), files(device)
        report(
            f"pulses: {device.voltage_up:g} V for {device.width_up:g} s raise, "
            f"{device.voltage_down:g} V for {device.width_down:g} s lower the conductance"
        )
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            check_overwriting(path, None, options.force, sources, "--results DIR")
    for name, text in texts.items():
        write_file(folder / name, text)
        report(f"wrote {folder / name}")
    if options.nir:
        path = folder / f"{Path(options.file).stem}.nir"
        save_nir(path, load(options.file))
        report(f"wrote {path}")


def network_files(file: str, start: list[str]) -> dict[str, str]:
    """Return the files of an exported network: their content by name. `file`: trained network;
    `start`: argument of --start.
    """
    network, scale = load(file), read_voltages(file).scale
    files = laboratory_files(network, read_starts(start, conductance_tables(network)))
    if scale:
        files["scale.csv"] = f"level,value\n0,{scale[0]!r}\n1,{scale[1]!r}\n"
    if "pulses.csv" not in files:
        report(
            "no pulses.csv: gates, refreshes or pulses of any width write this network; train one "
            "of a measured device (--device) for numbers of pulses"
        )
    else:
        lines = files["pulses.csv"].splitlines()[1:]
        pulses = sum(int(line.rpartition(",")[2]) for line in lines)
        report(f"{pulses:,} pulses for {len(lines):,} cells")
    return files


def read_starts(start: list[str], tables: list["pd.DataFrame"]) -> "list[pd.DataFrame] | float":
    """Return the content of --start: a share of the conductance range, or conductances in S, a
    table for each layer.

    Raises ParameterError for other content, or tables that do not fit the network's `tables`.
    """
    import pandas as pd  # here: the import takes half a second

    try:
        (share,) = map(float, start)
    except ValueError:
        share = -1.0
    if 0 <= share <= 1:
        return share
    if share >= 0 or len(start) != len(tables):
        raise ParameterError(
            f"--start must be a share from 0 to 1, or a file for each of {len(tables)} layers, got "
            f"{' '.join(start)}"
        )
    starts = []
    for path, table in zip(start, tables, strict=True):
        try:
            read = pd.read_csv(path, index_col=0).astype(float)
        except (OSError, ValueError, pd.errors.ParserError) as error:
            raise ParameterError(f"{path} is no table of conductances: {error}") from None
        if not read.index.equals(table.index) or not read.columns.equals(table.columns):
            raise ParameterError(
                f"{path} must have the rows and columns of the network, {table.index[0]} to "
                f"{table.index[-1]} and {table.columns[0]} to {table.columns[-1]}"
            )
        if read.isna().any(axis=None):
            raise ParameterError(f"{path} has empty cells: give each conductance in S")
        starts.append(read)
    return starts
