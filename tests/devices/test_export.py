"""Exported devices: ngspice follows library and Verilog-A, and aihwkit's law repeats the device."""

import dataclasses
import json

import numpy as np
import pytest

from memristive.devices.characterise import read_cells, write_cells
from memristive.devices.export import (
    aihwkit_parameters,
    files,
    identifier,
    model_file,
)
from memristive.devices.faster import compiled_library
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    load_device,
)
from memristive.devices.spice_model import load_model
from memristive.devices.verilog_a import find_compiler
from memristive.network.design import edges
from memristive.parameters import ParameterError
from tests.helpers import ROOT, printed

# 0.1 % of the range, which edges of a pulse take away, too
TOLERANCE = 1e-3
VTEAM = str(ROOT / "results/devices/vteam_device.json")
# bends up and down, negative pulses up, known steps at V/3 and V/2, a bent read
OWN = MeasuredDevice(
    "1 own-device",
    lowest_conductance=1e-6,
    highest_conductance=5e-6,
    up=(0.03, 0.01, 0.02),
    down=(0.01, 0.04, 0.02),
    voltage_up=-1.5,
    width_up=1e-6,
    voltage_down=1.2,
    width_down=3e-6,
    read_voltage=0.2,
    read_curve=(0.8, 0.9, 1.0),
    half_up=0.2,
    third_up=0.1,
    write_noise=0.015,
    spread=0.1,
    source="a\nb",
)


def exported(device, folder):
    """Write the files of a device; return its SPICE model."""
    for name, text in files(device).items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_model(str(folder / f"{identifier(device.name)}.json"))


@pytest.mark.parametrize("device", [DEVICES["pcmo"], OWN], ids=lambda device: device.name)
def test_ngspice_follows_the_library_to_both_bounds(ngspice, tmp_path, device):
    model, pulses = exported(device, tmp_path), np.arange(101)
    (up,) = write_cells(model, [0.0], True, 100)
    (down,) = write_cells(model, up[-1:], False, 100)
    assert up == pytest.approx(device.after(0.0, pulses), abs=TOLERANCE)
    assert down == pytest.approx(device.after(up[-1], pulses, False), abs=TOLERANCE)


def test_reads_and_half_pulses_of_the_library_are_those_of_the_device(ngspice, tmp_path):
    model = exported(OWN, tmp_path)
    assert read_cells(model, [0.0, 0.5, 1.0]) == pytest.approx(
        OWN.conductance([0.0, 0.5, 1.0]), rel=1e-6
    )
    assert read_cells(model, [-1e-3, 1.001]) == pytest.approx(
        [1e-6, 5e-6], rel=1e-6
    )  # ends of writes
    # at half of the read voltage the second point of the curve holds; beyond it, the last one
    assert read_cells(model, [1.0] * 2, [0.1, -0.1]) == pytest.approx([4.5e-6] * 2, rel=1e-6)
    assert read_cells(model, [0.5], [-0.5]) == pytest.approx([3e-6], rel=1e-6)
    for share, r in ((1.0, 1.0), (1 / 2, 0.2), (1 / 3, 0.1), (0.2 / 1.5, 0.0)):
        moved = np.diff(write_cells(model, [0.5], True, share=share)).item()
        assert moved == pytest.approx(r * 0.01, abs=2e-5), share


def test_the_library_needs_no_initial_conditions(tmp_path):
    """The ngspice program starts from an operating point, with its default options."""
    device = load_device(VTEAM)
    exported(device, tmp_path)
    name, width = identifier(device.name), device.width_up
    corners = [
        word for point in edges(width, width, 1e-4 * width, device.voltage_up) for word in point
    ]
    (tmp_path / "pulse.cir").write_text(
        f"pulse\n.include {tmp_path / name}.lib\nX1 row 0 {name} params: x0=0\n"
        f"Vrow row 0 pwl({' '.join(map(repr, corners))})\n"
        f".tran {width / 100!r} {3 * width!r} 0 {width / 100!r}\n.print tran v(x1.x)\n.end\n"
    )
    (states,) = (wave for key, wave in printed(tmp_path / "pulse.cir").items() if "x1.x" in key)
    assert states[-1] == pytest.approx(device.after(0.0, 1), abs=TOLERANCE)


@pytest.mark.skipif(not find_compiler(), reason="needs a compiler of Verilog-A")
@pytest.mark.parametrize("device", [DEVICES["pcmo"], OWN], ids=lambda device: device.name)
def test_ngspice_follows_the_compiled_verilog_a(ngspice, device, tmp_path):
    library, pulses = exported(device, tmp_path), np.arange(101)
    content = model_file(device)
    content["file"] = content["file"].replace(".lib", ".va")
    (tmp_path / "va.json").write_text(json.dumps(content))
    model = load_model(str(tmp_path / "va.json"))
    (up,) = write_cells(model, [0.0], True, 100)
    (down,) = write_cells(model, up[-1:], False, 100)
    assert up == pytest.approx(device.after(0.0, pulses), abs=TOLERANCE)
    assert down == pytest.approx(device.after(up[-1], pulses, False), abs=TOLERANCE)
    assert compiled_library(library.text, library.subcircuit, "x")
    assert read_cells(model, [0.2, 1.0]) == pytest.approx(read_cells(library, [0.2, 1.0]), rel=1e-6)


def test_aihwkit_parameters_repeat_a_sweep():
    """Documented law: nodes on an even grid from w_min to w_max, steps in units of dw_min."""
    given = json.loads(json.dumps(aihwkit_parameters(OWN)))
    grid, w, x = np.linspace(given["w_min"], given["w_max"], 3), -1.0, 0.0
    for way, sign in (("up", 1), ("down", -1)):
        for _ in range(40):
            w += sign * given["dw_min"] * np.interp(w, grid, given[f"piecewise_{way}"])
            x += sign * OWN.step(x, sign > 0).item()
            assert (w + 1) / 2 == pytest.approx(x, abs=1e-9)
    assert given["dw_min_std"] * given["dw_min"] / 2 == pytest.approx(0.015)
    assert given["dw_min_dtod"] == 0.1


@pytest.mark.parametrize(
    "change", [{"voltage_down": -1.0}, {"read_voltage": 1.3}], ids=["signs", "read"]
)
def test_a_device_whose_pulses_cannot_be_told_apart_is_refused(change):
    with pytest.raises(ParameterError, match=next(iter(change)).replace("_", ".")):
        files(dataclasses.replace(OWN, **change))
