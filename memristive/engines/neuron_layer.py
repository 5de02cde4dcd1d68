"""The paper's layer with the neurons of a SPICE subcircuit, in ngspice: one transient a read."""

import numpy as np

from memristive.devices.neuron_model import EDGE, SOLVER, MeasuredNeuron, factors
from memristive.engines.ngspice_layer import NgspiceLayer
from memristive.network.design import FloatOrArray
from memristive.network.layer import Layer
from memristive.spice.pyspice import Circuit
from memristive.spice.session import LoadedCircuit, NgspiceSession
from memristor import ReadMemristor
from snn_circuit import add_scaled, add_source, names, state_changes


class NeuronLayer(NgspiceLayer):
    """Layer whose neurons are subcircuits; cells are written as in any `NgspiceLayer`.

    Parameters
    ----------
    layer : Layer
        Without reference column, bias row and pairs.
    neuron : MeasuredNeuron
    """

    def __init__(self, layer: Layer, neuron: MeasuredNeuron) -> None:
        super().__init__(layer)
        self._neuron, self._model = neuron, neuron.spice()
        self._read: LoadedCircuit | None = None

    def read(
        self,
        states: np.ndarray,
        levels: np.ndarray,
        wanted: int = 1,
        stop: float | None = None,
        noise: np.ndarray | None = None,
        jitter: FloatOrArray = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return first spikes in s (nan: silent) and the columns' currents at the end of the read,
        in threshold currents (arrays, neurons). `states`: columns x rows, V; `levels`: inputs of
        one image. The read lasts for the window; `wanted`, `stop`, `noise` and `jitter`
        have no effect here.
        """
        layer, model = self._layer, self._model
        circuit = self._read = self._read or self._loaded()
        volts = (levels * layer.row_voltage).tolist()
        cells = np.ndindex(states.shape)
        circuit.alter(
            state_changes(cells, states.ravel().tolist(), "cell_0")
            | {f"erow_{k} gain": level for k, level in enumerate(volts)}
        )
        waves = circuit.run(model.start + layer.window)
        spikes = np.full(layer.columns, np.nan)
        for j in range(layer.columns):
            times = model.spikes(waves.time, waves[f"output_{j}"], model.start)
            spikes[j] = times[0] if len(times) else np.nan
        currents = -waves.stack(f"i(vbattery_{j})" for j in range(layer.columns))[:, -1]
        return spikes, currents / self._neuron.threshold_current

    def _loaded(self) -> LoadedCircuit:
        layer, model = self._layer, self._model
        circuit, cell = Circuit("neurons"), ReadMemristor(layer.memristor)
        model.add_to(circuit)
        cell.add_to(circuit)
        add_source(circuit, "pulse", [(0.0, 0.0), (model.start, 0.0), (model.start + EDGE, 1.0)])
        for k in range(layer.rows):
            add_scaled(circuit, f"row_{k}")
        differ = np.transpose(factors(layer.devices.neurons, layer.neuron))
        for j, own in enumerate(np.broadcast_to(differ, (layer.columns, 2)).tolist()):
            model.add_neuron(circuit, j, f"column_{j}", *own)
        for j, k in np.ndindex(layer.columns, layer.rows):
            circuit.X(f"cell_0_{j}_{k}", cell.name, f"column_{j}", f"row_{k}", x0=0.0)
        saved = names("output", layer.columns)
        saved += [f"i(vbattery_{j})" for j in range(layer.columns)]
        return NgspiceSession().load(circuit, SOLVER, saved)

    def unload(self) -> None:
        super().unload()
        if self._read:
            self._read.unload()
        self._read = None
