"""The Lapicque neuron, stage by stage, against its equations. All components have different
values.
"""

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.closed_form.neuron import membrane, spike_time
from memristive.parameters import ParameterError
from snn_circuit import NeuronParameters, OpAmp, SchmittTrigger, add_neuron

NEURON = NeuronParameters(
    feedback_resistance=1300.0,
    stage_resistance=17e3,
    membrane_transconductance=0.7,
    membrane_resistance=1.9,
    membrane_capacitance=60e-6,
    threshold=3.1,
    hysteresis=0.3,
    output_high=1.6,
    load_resistance=2300.0,
    amplifier_gain=2e5,
)
SUM, DRIVE = "xneuron.sum", "xneuron.drive"
VECTORS = ["column", "membrane", "output", SUM, DRIVE]


def bench(column_amperes, negative_volts=0.0):
    """Return a neuron whose column is driven by a current, as points (s, A); its negative input is
    at a constant voltage.
    """
    circuit = Circuit("neuron")
    add_neuron(circuit, NEURON)
    # As text: PySpice would append the unit, and an ampere reads as atto.
    points = " ".join(f"{time!r} {amperes!r}" for time, amperes in column_amperes)
    circuit.I("column", circuit.gnd, "column", f"pwl({points})")
    circuit.V("negative", "negative", circuit.gnd, negative_volts)
    circuit.X("neuron", "lapicque_neuron", "column", "negative", "membrane", "output")
    return circuit


def crossing(time, wave, level):
    """Return the first time at which a wave passes `level`, linear within the step."""
    k = np.flatnonzero(np.diff(np.sign(wave - level)))[0]
    return time[k] + (level - wave[k]) / (wave[k + 1] - wave[k]) * (time[k + 1] - time[k])


STAGES = {
    "summing": (NEURON.rail_low, NEURON.rail_high),
    "inverting": (NEURON.inverting_rail_low, NEURON.inverting_rail_high),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("plus", "minus"), [(40e-6, -10e-6), (10e-6, 40e-6), (0.7e-4, 1.3e-4), (1.2, 0.3), (-0.4, 0.5)]
)
def test_op_amp_amplifies_the_difference_up_to_its_rails(simulate, stage, plus, minus):
    low, high = STAGES[stage]
    circuit = Circuit("op-amp")
    circuit.subcircuit(OpAmp("amplifier", NEURON, low, high))
    for name, volts in (("plus", plus), ("minus", minus)):
        circuit.V(name, name, circuit.gnd, volts)
    circuit.X("amplifier", "amplifier", "plus", "minus", "out")
    # with the 10 ohm of the output: nine tenths are left
    circuit.R("load", "out", circuit.gnd, 90.0)
    out = simulate(circuit, ["out"], 1e-6, max_step=1e-7)["out"][-1] / 0.9
    # A clamp, not a wall: 1 V of overdrive may pass a rail by 0.1 %. Within the rails the stage is
    # linear.
    assert out == pytest.approx(np.clip(2e5 * (plus - minus), low, high), rel=1e-3)


@pytest.mark.parametrize("milliamperes", [1.7, -2.3])
def test_column_is_a_virtual_ground_and_the_stages_invert_twice(simulate, milliamperes):
    waves = simulate(bench([(0, 0), (1e-6, milliamperes * 1e-3)]), VECTORS, 2e-3, max_step=2e-5)
    last = {name: waves[name][-1] for name in VECTORS}
    # An open-loop gain of 2e5 leaves 1e-5 of the output at the inputs; the output resistance adds
    # less than 1 %.
    assert abs(last["column"]) < 1.1e-5 * abs(last[SUM])
    assert last[SUM] == pytest.approx(-1.3 * milliamperes, rel=1e-4)
    assert last[DRIVE] == pytest.approx(1.3 * milliamperes, rel=1e-4)
    assert last["membrane"] == pytest.approx(NEURON.transresistance * milliamperes * 1e-3, rel=1e-4)
    assert NEURON.transresistance == pytest.approx(1300 * 0.7 * 1.9)


@pytest.mark.parametrize(
    ("milliamperes", "negative"), [(2.0, 0.9), (2.0, -1.4), (0.0, 0.8), (-1.1, -2.0)]
)
def test_negative_column_is_subtracted(simulate, milliamperes, negative):
    waves = simulate(
        bench([(0, 0), (1e-6, milliamperes * 1e-3)], negative), VECTORS, 2e-3, max_step=2e-5
    )
    drive = 1.3 * milliamperes - negative
    # four times the input error of a gain of 2e5
    assert waves[DRIVE][-1] == pytest.approx(drive, rel=2e-4)
    assert waves["membrane"][-1] == pytest.approx(0.7 * 1.9 * drive, rel=2e-4)


@pytest.mark.parametrize("settled", [3.3, 4.7, 9.1])
def test_membrane_reaches_threshold_at_analytic_time(simulate, settled):
    current = settled / NEURON.transresistance
    edge = 1e-7
    waves = simulate(bench([(0, 0), (edge, current)]), VECTORS, 8e-4, max_step=2e-7)
    tau = 1.9 * 60e-6
    analytic = edge / 2 + tau * np.log(settled / (settled - 3.1))
    # A gain of 2e5 leaves the membrane 2e-5 short of `settled`; close to the threshold the time
    # feels it fivefold. The steps of 0.2 us, linear interpolation and all, are good for (0.2 /
    # 114)^2.
    assert crossing(waves.time, waves["membrane"], 3.1) == pytest.approx(analytic, rel=2e-4)
    # The output goes high within one step of it: the trigger acts on the membrane's threshold.
    assert crossing(waves.time, waves["output"], 0.8) == pytest.approx(analytic, abs=3e-7)
    # The whole way up is the exponential of tau = R * C.
    late = waves.time > edge
    expected = settled * -np.expm1(-(waves.time[late] - edge / 2) / tau)
    assert waves["membrane"][late] == pytest.approx(expected, rel=1e-4, abs=1e-4 * settled)
    assert NEURON.time_constant == pytest.approx(tau)


def test_schmitt_trigger_switches_up_at_the_threshold_and_down_below_its_hysteresis(simulate):
    circuit = Circuit("trigger")
    SchmittTrigger(NEURON).add_to(circuit)
    sweep = [(0, 0), (1e-3, 5.0), (2e-3, 0.0), (2.1e-3, 2.95), (3e-3, 2.85), (4e-3, 2.95)]
    circuit.PieceWiseLinearVoltageSource("membrane", "membrane", circuit.gnd, values=sweep)
    circuit.X("trigger", "schmitt_trigger", "membrane", "output")
    waves = simulate(circuit, ["membrane", "output"], 4e-3, max_step=1e-6)
    high = waves["output"] > 0.8
    up, down = (
        np.flatnonzero(np.diff(high.astype(int)) == 1),
        np.flatnonzero(np.diff(high.astype(int)) == -1),
    )
    # the last part of the sweep stays in between: nothing switches there
    assert (len(up), len(down)) == (1, 1)
    # Steps of 1 us are steps of 5 mV.
    assert waves["membrane"][up[0] + 1] == pytest.approx(3.1, abs=6e-3)
    assert waves["membrane"][down[0] + 1] == pytest.approx(3.1 - 0.3, abs=6e-3)
    # 1 milliohm of the closed and 1e12 ohm of the open switch against a load of 2.3 kohm.
    assert waves["output"][high] == pytest.approx(np.full(high.sum(), 1.6), rel=1e-6)
    assert abs(waves["output"][~high]).max() == pytest.approx(1.6 * 2300 / 1e12, rel=1e-3)


def test_hysteresis_must_be_below_the_threshold():
    with pytest.raises(ParameterError, match="hysteresis"):
        NeuronParameters(threshold=2.0, hysteresis=2.0)


def test_a_membrane_is_at_its_threshold_when_it_fires_and_settles_after_many_time_constants():
    settled, risen, threshold, rise, tau = 5.0, 0.2, 4.0, 10e-6, 150e-6
    spike = spike_time(settled, risen, threshold, rise, tau)
    assert membrane(settled, risen, np.array([0.0, spike - rise, 40 * tau]), tau) == pytest.approx(
        [risen, threshold, settled]
    )
