"""Layers in a foundry's transistors. Needs the models that `make silicon` installs."""

import os
import sys

import numpy as np
import pytest
from dask import distributed
from PySpice.Spice.Netlist import Circuit

import XPUE_memristive_inference
import XPUE_memristive_training
from datasets import xpue
from memristive.cli.script import exit_code
from memristive.cli.silicon import FORMAT
from memristive.commands import measure
from memristive.devices.characterise import step_spread
from memristive.devices.foundry import Process
from memristive.devices.neuron_model import load_neuron, load_neuron_model, with_spreads
from memristive.devices.spice_model import load_model
from memristive.engines.silicon import SETTLE, SOLVER, SiliconLayer
from memristive.io.records import load_results, to_json
from memristive.parameters import ParameterError
from memristive.spice.session import run_once
from snn_circuit import add_source
from tests.helpers import ROOT


def layer(foundry):
    process, patterns = Process(foundry), xpue().patterns
    try:
        process.header()
    except ParameterError as error:
        pytest.skip(str(error))
    return SiliconLayer(process, *patterns.shape), patterns


@pytest.mark.parametrize("foundry", ["gf180mcu", "sky130"])
def test_transistors_learn_and_read_xpue(foundry):
    made, patterns = layer(foundry)
    states, waves = made.train(patterns)
    assert states[patterns > 0].min() > states[patterns == 0].max() + 1
    assert waves.time[-1] == pytest.approx(96e-6)
    spikes, waves = made.read(states, np.vstack([0 * patterns[:1], patterns]))
    assert np.isnan(spikes[0]).all()  # without an image
    assert (np.nanargmin(spikes[1:], axis=1) == np.arange(4)).all()
    idle = 4 * load_neuron("results/devices/gf180mcu_neuron.json").power
    assert idle < made.power(waves) < 1.5 * idle  # neurons take most


def test_transistors_follow_temperature_and_have_junctions():
    """Slopes below the threshold go as 1 / T. The foundry's own transistor has no junction by
    default; one of 20 by 0.44 um has about 1 fF/um2.
    """
    process = layer("gf180mcu")[0].process

    def drawn(celsius, gates, drains, edge, transistor="nfet"):
        circuit = Circuit("transistor")
        circuit.raw_spice += process.replace(temperature=celsius).header()
        add_source(circuit, "gate", list(zip((0, edge), gates, strict=True)))
        add_source(circuit, "drain", list(zip((0, edge), drains, strict=True)))
        circuit.raw_spice += f"Xn drain gate 0 {transistor} w=20u l=1u\n"
        waves = run_once(circuit, SOLVER, ["i(vdrain)"], edge)
        return -np.interp([0.1 * edge, 0.9 * edge], waves.time, waves["i(vdrain)"])

    slopes = [np.diff(np.log(drawn(c, (0.2, 0.3), (1.0, 1.0), 1e-4))) for c in (27, 127)]
    assert slopes[0] / slopes[1] == pytest.approx(400 / 300, rel=0.07)
    ramps = (27, (0.0, 0.0), (0.0, 3.3), 1e-6)
    junction = (drawn(*ramps) - drawn(*ramps, f"0 {process.of.nfet[1]}")) / 3.3e6
    assert 5e-15 < junction[0] < 20e-15


def test_process_refuses_mismatch_without_statistics():
    with pytest.raises(ParameterError, match="mismatch"):
        Process("sky130", mismatch=1)


def test_corners_and_temperatures_give_a_table(tmp_path):
    """In slow and in skewed transistors when hot, training and reading succeed as in typical."""
    layer("gf180mcu")
    folders = ["--results", str(tmp_path), "--figures", str(tmp_path)]
    conditions = ["--silicon", "gf180mcu", "--corner", "ss", "sf", "--temperature", "125"]
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        host="127.0.0.1",
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    ) as cluster:
        arguments = [*conditions, *folders, "--scheduler", cluster.scheduler_address]
        assert exit_code(XPUE_memristive_training.main, arguments) == 0
    rows = load_results(tmp_path / "xpue_gf180mcu_conditions.json")["conditions"]
    assert [(row["corner"], row["C"], row["right"]) for row in rows] == [
        ("ss", 125, 4),
        ("sf", 125, 4),
    ]


def test_slow_transistors_need_a_longer_read(tmp_path):
    """SkyWater's + fires after 10.4 us in ss."""
    made, patterns = layer("sky130")
    file = tmp_path / "states.json"
    states = np.where(patterns > 0, 2.2, 0.63)
    process = made.process.as_dict()
    content = {"format": FORMAT, "dataset": "xpue", "process": process, "voltages": states}
    file.write_text(to_json(content), encoding="utf-8")
    folders = ["--results", str(tmp_path), "--figures", str(tmp_path), "--voltages", str(file)]
    arguments = ["--silicon", "sky130", "--corner", "ss", "--window", "1.2e-5", *folders]
    assert exit_code(XPUE_memristive_inference.main, arguments) == 0
    record = load_results(tmp_path / "xpue_sky130_ss_inference.json")
    assert record["strict_accuracy"] == 1
    assert record["first_spike_times"][1][1] > 10e-6


def test_cells_measured_as_a_device_learn_xpue(tmp_path):
    layer("gf180mcu")
    folders = ["--results", str(tmp_path), "--figures", str(tmp_path)]
    folders += ["--voltages", str(tmp_path / "x.json")]
    device = ["--device", "results/devices/gf180mcu_cell_device.json"]
    assert exit_code(XPUE_memristive_training.main, [*device, *folders]) == 0
    assert exit_code(XPUE_memristive_inference.main, folders) == 0
    name = "xpue_gf180mcu_cell_1t1r_inference.json"
    assert load_results(tmp_path / name)["strict_accuracy"] == 1


def test_errors_write_one_column_up_and_down():
    made = SiliconLayer(layer("gf180mcu")[0].process, 2, 3)
    states, waves = made.write(np.full((2, 3), 1.8), [1], np.array([[1.0, -1.0, 0.0]]), 2e-6)
    moved = states - 1.8
    assert moved[1, 0] > 0.1 and moved[1, 1] < -0.1
    np.testing.assert_allclose([*moved[0], moved[1, 2]], 0.0, atol=0.02)
    rows = waves.stack([f"row_{i}" for i in range(3)]) - made.neuron.levels["reference"]
    assert [*rows.max(axis=1), rows[1].min()] == pytest.approx([0.3, 0.0, 0.0, -0.3], abs=1e-6)


def test_power_leaves_out_what_settles():
    made = SiliconLayer(Process("gf180mcu"), 1, 2)

    class Drawn(dict):
        time = SETTLE * np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])

    waves = Drawn({"i(vsupply)": -1e-6 * np.array([90, 90, 90, 2, 2, 2])})
    assert made.power(waves) == pytest.approx(made.neuron.levels["supply"] * 2e-6, rel=1e-12, abs=0)


def test_pumps_of_drawn_cells_differ_as_drawn_pumps_alone():
    """Pumps alone at 0.2 V: 8.4 % up and 7.2 % down with their offsets (30 draws)."""
    layer("gf180mcu")
    spread, offset = step_spread(load_model("gf180mcu_cell"), 2.1, 20)
    assert 0.045 < spread < 0.085
    assert offset > 2 * spread  # at 0.05 V


@pytest.mark.parametrize("model, word", [("sky130_cell", "mismatch"), ("vteam", "foundry")])
def test_draws_need_a_foundry_s_mismatch(tmp_path, capsys, model, word):
    folders = ["--results", str(tmp_path), "--figures", str(tmp_path)]
    assert exit_code(measure.main, [model, "--draws", "20", *folders]) == 2
    assert word in capsys.readouterr().err


def test_smaller_gates_differ_more():
    process = layer("gf180mcu")[0].process
    model = load_neuron_model("gf180mcu")
    neuron = load_neuron("results/devices/gf180mcu_neuron.json")
    small, large = (
        with_spreads(neuron, model, process.replace(scale=scale), 3) for scale in (0.7, 1.4)
    )
    assert 0.02 < small.leak_spread < 0.15  # the membrane's resistance: of I_th and of tau
    assert small.threshold_spread + small.leak_spread > large.threshold_spread + large.leak_spread
