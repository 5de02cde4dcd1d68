"""Layers trained and read in ngspice as one call, whose circuits are unloaded at its end: a classifier makes many."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from memristive.multilayer.layer_netlist import layer_names, layered_network
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, check_images
from memristive.multilayer.layer_ngspice import READING_LAYERS, LayeredReader
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.ngspice_trainer import LayeredTeacher
from memristive.single_layer.pulses import edges
from memristive.spice.netlist import netlist_text
from memristive.spice.session import LoadedCircuit, NgspiceSession, Solver

WHOLE_STEP = 0.1e-6  # s, longest step of a whole network in one transient, whose switches flip at time points


class _Borrowed(NgspiceSession):
    """A session that knows what it has loaded, so that it can be unloaded."""

    def __init__(self) -> None:
        super().__init__()
        self.circuits: list[LoadedCircuit] = []

    def load(self, circuit: Any, solver: Solver, save: Sequence[str]) -> LoadedCircuit:
        """As `NgspiceSession.load`."""
        self.circuits.append(super().load(circuit, solver, save))
        return self.circuits[-1]


@contextlib.contextmanager
def borrowed_session() -> Iterator[NgspiceSession]:
    """A session whose circuits are unloaded at the end. Raises NgspiceMissing."""
    session = _Borrowed()
    try:
        yield session
    finally:
        for circuit in session.circuits:
            session.unload(circuit)


def read_in_ngspice(network: LayeredNetwork, images: np.ndarray, wanted: int = 2) -> Iterator[np.ndarray]:
    """First spike times in s of the last layer (classes; nan: silent, or later than the first `wanted`), image by image.

    `images`: n x inputs, levels 0 to 1. Raises SimulationError.
    """
    with borrowed_session() as session:
        reader = LayeredReader(session, network)
        for image in images:
            yield reader.read(network, image, wanted)[0][-1]


def train_in_ngspice(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray,
                     labels: np.ndarray) -> Iterator[tuple[int, float]]:
    """As `layers.train`, in ngspice; yields after every presentation. Raises SimulationError."""
    with borrowed_session() as session:
        yield from LayeredTeacher(session, learning.network, rule, images, labels).presentations(learning)


def read_netlist(network: LayeredNetwork, image: np.ndarray) -> str:
    """The netlist that reads an `image` (inputs, levels 0 to 1) with the whole network in one transient.

    Spikes come late by up to a `WHOLE_STEP` a layer and two more; leads of less than one a layer may be lost.
    """
    check_images(network, np.asarray(image)[None])
    design, last = network.design, len(network.states)
    rows = [edges(0.0, 1.0, design.rise, design.row_voltage * level)[:3] for level in image.tolist()]
    circuit = layered_network(network.parameters, design, network.states, rows, title="MemristiveClassifier, one read",
                              chip=network.chip)
    circuit["Vpulse"].values = edges(0.0, 1.0, design.rise, 1.0)[:3]
    outputs = layer_names("row", last, network.sizes[-1])
    solver = dataclasses.replace(READING_LAYERS, max_step=WHOLE_STEP)
    return netlist_text(circuit, solver, design.window, outputs, outputs)
