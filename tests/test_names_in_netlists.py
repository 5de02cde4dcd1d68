"""Names from outside in netlists: commands in them are not executed."""

import dataclasses

import numpy as np
import pytest

from memristive import netlist
from memristive.devices.characterise import one_cell
from memristive.devices.characterise_gate import gates_circuit
from memristive.devices.export import files
from memristive.devices.measured_device import DEVICES
from memristive.devices.spice_model import load_model
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
