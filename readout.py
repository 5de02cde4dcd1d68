"""Reading a trained crossbar image by image, fast: one circuit kept in ngspice, altered, run, read.

Only the rows an image drives are simulated: a cell between an input at 0 V and a column at virtual ground carries no
current, so its waveforms are unchanged without it (tests/test_readout.py holds that against the whole network).
"""

import numpy as np

from in_situ_learning import READING, first_spikes
from snn_circuit import names, network, state_changes

# Where a read is looked at, in s after the pulse's start: it ends once all that is asked for is known.
PAUSES = (110e-6, 130e-6, 150e-6, 200e-6, 300e-6, 400e-6, 600e-6, 1e-3)
SAFETY = 0.01  # a neuron counts as settled below threshold only if its final membrane voltage stays this share below it


class Reader:
    """Presents images to a crossbar in one persistent circuit with room for `rows` driven inputs.

    `session` is an `NgspiceSession`; `schedule` gives pulse and edges; `states` go with each call, so that training may
    change them between two reads.
    """

    def __init__(self, session, parameters, schedule, classes, rows, solver=READING):
        self._parameters, self._schedule = parameters, schedule
        self._classes, self._rows = classes, rows
        self._levels, self._states = np.zeros(rows), np.zeros((classes, rows))
        circuit = network(parameters, np.zeros((classes, rows)), [self._pulse(0.0)] * rows, title="read")
        self._circuit = session.load(circuit, solver, names("membrane", classes) + names("output", classes))

    def _pulse(self, level):
        return [(0.0, 0.0), (self._schedule.rise, level), (self._schedule.pulse, level)]

    def spikes(self, states, image, wanted):
        """First spike times in s of one image: array of classes, nan for a neuron not (yet) fired when the read ended.

        `states`: classes x inputs in V; `image`: pixel levels 0 to 1. The read ends early once `wanted` neurons have fired,
        or once no other neuron can fire any more. Raises SimulationError.
        """
        driven = np.flatnonzero(image)
        levels = np.zeros(self._rows)
        levels[:len(driven)] = image[driven] * self._schedule.input_voltage
        cells = np.zeros((self._classes, self._rows))
        cells[:, :len(driven)] = states[:, driven]
        self._set(levels, cells)
        for waves in self._circuit.run(self._schedule.pulse, PAUSES):
            membranes = waves.stack(names("membrane", self._classes))
            if self._known(membranes[:, -1], waves.time[-1], wanted):
                break
        return first_spikes(waves.time, membranes, waves.stack(names("output", self._classes)), self._parameters.neuron,
                            0.0, self._schedule.pulse)

    def _known(self, membranes, time, wanted):
        """Whether enough neurons have fired, or the rest never will: each membrane approaches its end value exponentially.

        The column currents stand still after the edge, so V(t) = V(inf) * (1 - exp(-t / tau)) at least.
        """
        neuron = self._parameters.neuron
        fired = membranes >= neuron.threshold
        final = membranes / -np.expm1(-(time - self._schedule.rise) / neuron.time_constant)
        return fired.sum() >= wanted or not np.any(~fired & (final >= (1 - SAFETY) * neuron.threshold))

    def _set(self, levels, cells):
        changed = np.flatnonzero(levels != self._levels)
        changes = {f"vinput_{k} pwl": np.ravel(self._pulse(levels[k])) for k in changed}
        pairs = np.argwhere(cells != self._states)
        changes |= state_changes(pairs, cells[tuple(pairs.T)])
        self._circuit.alter(changes)
        self._levels, self._states = levels, cells
