"""Names from outside in netlists: commands in them are not executed."""

import dataclasses
import json
import subprocess

import numpy as np
import pytest

from memristive import MemristiveClassifier, netlist
from memristive.devices.characterise import one_cell, read
from memristive.devices.characterise_gate import gates_circuit, set_cells
from memristive.devices.export import files
from memristive.devices.measured_device import DEVICES
from memristive.devices.spice_model import PRESETS, load_model
from memristive.learning.hebbian import hebbian_netlist, inference_netlist
from memristive.network.design import Setup
from memristive.spice.session import Solver, netlist_text
from memristor import MemristorParameters
from tests.network.kinds import IMAGE, KINDS

COMMANDS = (
    "p\n.control\nshell touch {file}\nquit\n.endc\r\v\x85\u2028+ 1 ; $ `touch {file}`\n"
    "*#shell touch {file}\n"
)
SETUP, PATTERNS = Setup(), np.eye(2)


def text_of(circuit):
    """The text of a circuit that ngspice loads."""
    return netlist_text(circuit, Solver())


def exported(name):
    """All files of a device of this name and source."""
    return "".join(files(dataclasses.replace(DEVICES["epiram"], name=name, source=name)).values())


DOORS = {
    "read of layers": lambda name: netlist(KINDS["hidden"](), IMAGE, [name, name], name),
    "read of the paper's layer": lambda name: netlist(KINDS["paper"](), IMAGE, [name, "b"], name),
    "read of a convolution": lambda name: netlist(KINDS["convolution"](), IMAGE, [name], name),
    "training": lambda name: hebbian_netlist(SETUP, PATTERNS, [name, "b"]),
    "inference": lambda name: inference_netlist(SETUP, PATTERNS, PATTERNS, [name, "b"]),
    "title": lambda name: text_of(one_cell(MemristorParameters(), 1.2, 0.0, name)),
    "exported device": exported,
    "cells of a model": lambda name: text_of(
        gates_circuit(
            dataclasses.replace(load_model("stanford_1t1r"), name=name),
            [0.0],
            np.array([1.0]),
            np.array([True]),
        )[0]
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_name_adds_no_line(door):
    name = COMMANDS.format(file="evil")
    found = [DOORS[door](word).split("\n") for word in ("p" * len(name), name)]
    plain, hostile = (
        [line for line in lines if not line.startswith((".title", "*", "//"))] for lines in found
    )
    assert len(hostile) == len(plain)
    assert all(line.isprintable() and not line.startswith("*#") for line in found[1])


def run_program(path):
    subprocess.run(["ngspice", "-n", "-b", path.name], cwd=path.parent, capture_output=True)


def test_a_class_name_runs_no_commands_in_an_exported_netlist(tmp_path):
    file, netlist = tmp_path / "evil", tmp_path / "read.cir"
    name = COMMANDS.format(file=file)
    rng = np.random.default_rng(1)
    features, labels = rng.random((12, 2)), np.array([name, "q"])[np.arange(12) % 2]
    model = MemristiveClassifier((), epochs=1, random_state=1).fit(features, labels)
    run_program(model.export_netlist(netlist, features[0]))
    assert netlist.is_file() and not file.exists()


@pytest.mark.parametrize("name", ["wox", "stanford_1t1r"])
def test_a_file_name_of_a_model_runs_no_commands(ngspice, tmp_path, monkeypatch, name):
    """The name is the title of the circuits that measure the model."""
    monkeypatch.chdir(tmp_path)
    content = json.loads((PRESETS / f"{name}.json").read_text())
    content["file"] = str(PRESETS / content["file"])
    path = tmp_path / "p\n.control\nshell touch evil\n.endc\n*.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    model = load_model(str(path))
    assert "\n" in model.name
    state = 0.5 if name == "wox" else 1e-9
    assert read(model, [state]) > 0
    if model.gate_pin:
        set_cells(model, [state], np.array([1.5]), np.array([True]))
    assert not (tmp_path / "evil").exists()
