"""The rule of `layer_rule` with everything in ngspice: reads, back-reads and writes; and reading many images there."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from learning.error_driven import RUNNING, offender
from learning.layer_readout import BackReader, ColumnWriter, LayeredReader
from learning.layer_rule import LayeredRule, errors, falling, overlaps, plastic
from learning.layers import LayeredLearning, LayeredNetwork, presentation_order, start_delay
from memristor import state_rate
from spice.session import LoadedCircuit, NgspiceSession, Solver


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
        teacher = _Teacher(session, learning.network, rule)
        for k in presentation_order(rule, len(images), learning.done, rule.presentations):
            right, written = teacher.present(learning, images[k], int(labels[k]))
            learning.history[learning.done] = right, written
            learning.done += 1
            recent = learning.history[max(0, learning.done - RUNNING):learning.done, 0]
            yield learning.done, float(recent.mean())


class _Teacher:
    """Presents one image after the other: read, and where the right neuron does not lead, read back and write."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, rule: LayeredRule) -> None:
        self._rule, self._window = rule, network.design.window
        self._tau = network.parameters.neuron.time_constant
        self._bias = start_delay(network.design.rise, self._tau)  # when the bias row steps up, as a membrane sees it
        self._reader = LayeredReader(session, network)
        self._back = {layer: BackReader(session, network, layer) for layer in range(1, len(network.states))}
        self._writers = [ColumnWriter(session, network, states.shape[1]) for states in network.states]
        self._rate = float(state_rate(network.parameters.memristor, network.design.row_voltage))

    def present(self, learning: LayeredLearning, image: np.ndarray, label: int) -> tuple[bool, bool]:
        """Present an `image` (inputs); returns whether it was right and whether it wrote. Updates `learning`'s network."""
        network, share = learning.network, falling(learning.done, self._rule.presentations)
        times, settled = self._reader.read(network, image, label=label)
        wrong = offender(times[-1], label, self._rule.margin)
        silent = bool(np.isnan(times[-1][label]))
        if silent or wrong is not None:
            found = self._errors(network, settled, label, -1 if wrong is None else wrong)
            states = tuple(self._written(layer, network.states[layer], found[layer], image, times, share)
                           for layer in range(len(network.states)))
            learning.network = dataclasses.replace(network, states=states)
        return not silent and bool(np.nanmin(times[-1]) == times[-1][label]), silent or wrong is not None

    def _errors(self, network: LayeredNetwork, settled: list[np.ndarray], label: int, wrong: int) -> list[np.ndarray]:
        """What each layer's columns are written by, from back-reads of the layer above."""
        found = [errors(len(network.states[-1]), label, wrong)]
        for layer in range(len(network.states) - 1, 0, -1):
            back = self._back[layer].read(network.states[layer], found[0])
            found.insert(0, plastic(back, settled[layer - 1], self._rule.reach))
        return found

    def _written(self, layer: int, states: np.ndarray, column_errors: np.ndarray, image: np.ndarray, times: list[np.ndarray],
                 share: float) -> np.ndarray:
        """The `states` of a layer after the writes of its columns."""
        output = layer == len(times) - 1
        pulse = share * (self._rule.output_dose if output else self._rule.hidden_dose) / self._rate
        states = states.copy()
        for j in np.flatnonzero(column_errors):
            levels, high = np.append(image, 1.0), np.ones(states.shape[1])
            if layer:
                levels = high
                high = overlaps(np.append(times[layer - 1], self._bias), times[layer][j], self._window) / self._tau
            states[j] = self._writers[layer].write(states[j], levels, high, pulse * column_errors[j])
        return states
