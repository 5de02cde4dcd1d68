"""The paper's layer in NumPy, image by image: what the compiled closed form is compared with."""

import dataclasses

import numpy as np


class PlainClosedForm:
    """Engine that reads and writes a network of one layer by `Crossbar`."""

    def __init__(self, network):
        self._crossbar = network.crossbar

    def read(self, network, image, wanted=2, label=None, rng=None, jitter=0.0):
        """Return first spikes and settled membranes, in thresholds, of one image."""
        race = self._crossbar.read(network.states[0], image, jitter)
        return [race.spikes], [race.settled / self._crossbar.neurons.threshold]

    def read_back(self, network, layer, errors):
        raise NotImplementedError("one layer has no layer below")

    def write(self, network, layer, doses, rng):
        """Return the states after the writes `doses`; stuck cells keep theirs."""
        states, rate = network.states[0].copy(), network.layers[0].write_rate
        for column, dose, shares, factors in doses:
            cells = self._crossbar.cells.at(column)
            gain = cells.transconductance * factors
            written = self._crossbar.write(
                states[column],
                shares,
                1 if dose > 0 else -1,
                abs(dose) / rate,
                dataclasses.replace(cells, transconductance=gain),
            )
            states[column] = np.where(np.equal(gain, 0.0), states[column], written)
        return states
