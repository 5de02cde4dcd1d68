"""Op-amps with a pole: the closed form of their delays agrees with ngspice."""

import math

import numpy as np
import pytest

from memristive.datasets import mnist
from memristive.io.voltages import load
from memristive.network.design import Schedule
from memristive.network.layer import crossbar_circuit
from memristive.network.networks import Network
from memristive.scores.decisions import first_spikes
from memristive.spice.session import Solver, run_once
from snn_circuit import NetworkParameters, NeuronParameters, OpAmp, names, state_changes
from studies.amplifier_speed import NETWORKS, forward

IDEAL, SLOW = 1e15, 10e6  # Hz


def test_a_column_of_two_cells_delays_its_neuron_by_hand():
    """0.52 mS at 1 kohm, and an inverting stage of noise gain 3: (1.52 + 3) / (2 pi 1 MHz)."""
    parameters = NetworkParameters(neuron=NeuronParameters(threshold=0.3))
    network = Network((np.array([[2.0, 2.0]]),), parameters, Schedule(pulse=1e-3))
    ideal, slow = forward(network, np.ones(2), np.array([IDEAL, 1e6]))[0][:, 0]
    assert slow - ideal == pytest.approx(0.7195e-6, rel=0.005)  # drops at outputs are 0.1 %


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_at_10_megahertz_are_those_of_ngspice_within_100_ns(name):
    """Output neurons of frozen networks; rows behind a hidden layer step at its spikes."""
    network, image = load(f"voltages/{name}.json"), mnist(encoding="grey").test.levels[0]
    of, found = network.layers[-1], forward(network, image, np.array([SLOW, IDEAL]))
    deep, steps = len(found) > 1, found[-2][0] if len(found) > 1 else None
    circuit = crossbar_circuit(of, of.neurons, of.rows, of.rise / 4 * deep)
    for subcircuit in circuit.subcircuits:
        if subcircuit.name.endswith("_amplifier"):
            pole = OpAmp.STAGE / (2 * math.pi * SLOW)
            subcircuit.C("pole", "stage", subcircuit.gnd, pole)
    complete = of.with_reference(network.states[-1])
    changes = state_changes(np.ndindex(complete.shape), complete.ravel().tolist(), "cell_0")
    if deep:
        late = np.nan_to_num(steps, nan=1.0)
        changes |= {f"v.xrow_0_{k}.vat dc": time for k, time in enumerate(late.tolist())}
        changes[f"erow_0_{of.rows - 1} gain"] = of.row_voltage
    else:
        volts = of.row_voltage * network.read_levels(image[None])[0]
        changes |= {f"erow_0_{k} gain": value for k, value in enumerate(volts.tolist())}
    tau = of.neuron.time_constant
    solver = Solver(max_step=tau / 1000, reltol=1e-6, trtol=1e6, chgtol=1e-7, method="trap")
    waves = run_once(circuit, solver, names("membrane_0", of.neurons), 3 * tau, changes)
    thresholds = np.full(of.neurons, of.circuits.threshold)
    membranes = waves.stack(names("membrane_0", of.neurons))
    spikes = first_spikes(waves.time, membranes, None, of.neuron, 0.0, 1.0, thresholds)
    slow, ideal = found[-1]
    both = ~np.isnan(slow) & (slow < 3 * tau)
    assert both.sum() > 2
    assert np.abs(spikes - slow)[both].max() < 0.1e-6 < np.abs(slow - ideal)[both].max()
