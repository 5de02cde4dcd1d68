"""Networks for the laboratory: pulses replayed by the device's curves give the states, names are
unique, and bad input gives one line.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from memristive.cli.script import exit_code
from memristive.commands import export
from memristive.devices.characterise import one_cell
from memristive.devices.measured_device import emulator
from memristive.io.networks import save
from memristive.io.voltages import save_voltages
from memristive.network.networks import network_on_chip
from snn_circuit import add_source
from tests.helpers import one_line
from tests.network.kinds import IMAGE, KINDS
from tests.network.networks import MEASURED, measured_network


def exported(folder, file, *options):
    """Export a network into a folder of its own; return its conductances and its pulses."""
    assert exit_code(export.main, [str(file), "--results", str(folder), *map(str, options)]) == 0
    found = folder / file.stem
    tables = [pd.read_csv(path, index_col=0) for path in sorted(found.glob("conductances_*.csv"))]
    pulses = found / "pulses.csv"
    return tables, pd.read_csv(pulses) if pulses.exists() else None


def numbers(pulses, table):
    """Return signed numbers of pulses for each cell of a table of conductances."""
    found = pd.DataFrame(0, table.index, table.columns)
    for row, column, direction, number in pulses.itertuples(index=False):
        if row in found.index:
            found.loc[row, column] += number if direction == "up" else -number
    return found.to_numpy()


def replayed(device, start, pulses):
    """Return x after pulses of either direction, by the device's curves."""
    up = device.after(start, np.maximum(pulses, 0))
    return np.where(pulses > 0, up, device.after(start, np.maximum(-pulses, 0), False))


BINARY = np.where(IMAGE > 0.3, 1.0, 0.0)  # conductances are those at the full read voltage


def rebuilt_layer(circuit, neurons, table, steps):
    """First spikes (neurons, s) of a layer whose rows step up at `steps` (s), by the tables alone.

    Membranes charge with R C towards gm R (feedback x current - feedback x negative current).
    """
    tau = circuit["membrane_resistor"] * neurons.membrane_capacitor_F
    gain = circuit["membrane_transconductance"] * circuit["membrane_resistor"]
    times, found = np.unique(steps[np.isfinite(steps)]), []
    columns = [name.split("_pair_")[0] for name in table]
    for j, own in neurons.iterrows():
        side = [name.rsplit("_", 2)[0] for name in columns]
        number = np.array([int(name.rsplit("_", 1)[1]) for name in columns])
        opposite = np.array([kind == "opposite" for kind in side])
        plus = (number == j) & ~opposite
        minus = ((number == j) & opposite) | (number == len(neurons))
        membrane, spike = 0.0, np.nan
        for begin, end in zip(times, [*times[1:], circuit["longest_read"]], strict=True):
            siemens = table.to_numpy()[steps <= begin].sum(axis=0)
            positive = siemens[plus].sum() + (steps[-1] <= begin) / circuit["bias_resistor"]
            drive = circuit["read_voltage"] * (
                own.feedback_resistor_ohm * positive
                - circuit["feedback_resistor"] * siemens[minus].sum()
            )
            ratio = (gain * drive - membrane) / (gain * drive - own.threshold_V)
            crossing = begin + tau[j] * np.log(ratio) if ratio > 1 else np.inf
            if crossing <= end:
                spike = crossing
                break
            membrane = gain * drive + (membrane - gain * drive) * np.exp(-(end - begin) / tau[j])
        found.append(spike)
    return np.array(found)


def rebuilt(folder, image):
    """First spikes of the outputs (s) of an exported network, which reads an `image` (0 or 1)."""
    circuit = pd.read_csv(folder / "circuit.csv", index_col="quantity").drop(columns="unit")
    neurons = [pd.read_csv(path, index_col=0) for path in sorted(folder.glob("neurons_*.csv"))]
    tables = [pd.read_csv(path, index_col=0) for path in sorted(folder.glob("conductances_*.csv"))]
    first = circuit["layer_0"]

    bias = np.ones(len(tables[0]) - len(image))
    steps = np.where(np.append(image, bias) > 0, first["edge"] / 2, np.inf)
    spikes = rebuilt_layer(first, neurons[0], tables[0], steps)
    for k in range(1, len(tables)):
        steps = np.append(np.where(np.isnan(spikes), np.inf, spikes), first["edge"] / 2)
        spikes = rebuilt_layer(circuit[f"layer_{k}"], neurons[k], tables[k], steps)
    return spikes


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "wires" not in kind and "convolution" not in kind]
)
def test_the_tables_are_enough_to_build_the_circuit(kind, tmp_path):
    network = KINDS[kind]()
    if network.pulses:
        pulses = dataclasses.replace(network.pulses, read_noise=0.0)
        network = dataclasses.replace(network, pulses=pulses)
    if network.chip:
        chip = dataclasses.replace(network.chip, read_noise=0.0)
        network = network_on_chip(dataclasses.replace(network, devices=None), chip)
    save(tmp_path / "net.json", network)
    exported(tmp_path, tmp_path / "net.json")
    expected = network.first_spikes(BINARY[None])[0]
    assert np.isfinite(expected).any()
    assert rebuilt(tmp_path / "net", BINARY) == pytest.approx(expected, abs=0.2e-6, nan_ok=True)


def test_the_circuit_names_the_patches_of_a_convolution(tmp_path):
    save(tmp_path / "net.json", KINDS["convolution"]())
    exported(tmp_path, tmp_path / "net.json")
    circuit = pd.read_csv(tmp_path / "net" / "circuit.csv", index_col="quantity")["layer_0"]
    image = [circuit[f"image_{side}"] for side in ("height", "width")]
    patch = [circuit[f"patch_{name}"] for name in ("window", "stride", "regions")]
    assert (image, patch) == ([6, 6], [3, 1, 2])


@pytest.mark.parametrize("device", ["noisy", "pcmo"])
@pytest.mark.parametrize("start", [0.0, 0.6, 1.0])
def test_replayed_pulses_give_the_states_within_half_a_step(tmp_path, device, start):
    network = measured_network(device, (4,), 2)
    save(tmp_path / "net.json", network)
    tables, pulses = exported(tmp_path, tmp_path / "net.json", "--start", start)
    emulated, measured = emulator(MEASURED[device]), MEASURED[device]
    assert len(tables) == 2
    for table, states in zip(tables, network.states, strict=True):
        wanted, count = emulated.share(states).T, numbers(pulses, table)
        assert table.columns.is_unique and table.shape == wanted.shape
        assert table.to_numpy() == pytest.approx(measured.conductance(wanted), rel=2e-3)
        less, made, more = (replayed(measured, start, count + more) for more in (-1, 0, 1))
        half = np.maximum(made - less, more - made) / 2
        assert (np.abs(made - wanted) <= half + 1e-3).all()


def test_readings_of_the_array_give_the_pulses_that_are_left(tmp_path):
    """Two cells are off by a few steps of an equal-step device, in either direction."""
    network = measured_network("linear", (), 1)
    save(tmp_path / "net.json", network)
    (table,), _ = exported(tmp_path / "first", tmp_path / "net.json")
    device = MEASURED["linear"]
    step = device.conductance(0.01) - device.conductance(0.0)
    table.loc["row_0_2", "column_0_1"] += 3 * step
    table.loc["row_0_4", "opposite_0_0"] -= 2 * step
    table.to_csv(tmp_path / "readings.csv")
    _, left = exported(
        tmp_path / "second", tmp_path / "net.json", "--start", tmp_path / "readings.csv"
    )
    assert left.to_numpy().tolist() == [
        ["row_0_2", "column_0_1", "down", 3],
        ["row_0_4", "opposite_0_0", "up", 2],
    ]


def test_conductances_give_the_current_of_a_cell_in_ngspice(
    tmp_path, mnist_setup, simulate, step, capsys
):
    """The paper's cell at 1 V, where its channel saturates; without a measured device there are no
    pulses.
    """
    save_voltages(tmp_path / "net.json", np.array([[0.4, 2.0]]), mnist_setup)
    (table,), pulses = exported(tmp_path, tmp_path / "net.json")
    assert pulses is None and "no pulses.csv" in capsys.readouterr().out
    for row, state in (("row_0_0", 0.4), ("row_0_1", 2.0)):
        circuit = one_cell(mnist_setup.memristor, 1.2, state, "a read")
        add_source(circuit, "input", step(1.0))
        add_source(circuit, "phi", [(0.0, 0.0), (1e-6, 0.0)])
        current = simulate(circuit, ["i(vneuron)"], 20e-6)["i(vneuron)"][-1]
        assert table.loc[row, "column_0_0"] == pytest.approx(current, rel=2e-3)


@pytest.mark.parametrize(
    ("start", "word"),
    [(["1.5"], "share"), (["{file}"], "rows")],
)
def test_bad_starts_give_one_line(tmp_path, capsys, start, word):
    save(tmp_path / "net.json", measured_network("linear", (), 1))
    (tmp_path / "a.csv").write_text("siemens,column_0_0\nrow_0_0,1e-6\n", encoding="utf-8")
    start = [part.format(file=tmp_path / "a.csv") for part in start]
    arguments = [str(tmp_path / "net.json"), "--results", str(tmp_path), "--start", *start]
    assert exit_code(export.main, arguments) == 2
    assert word in one_line(capsys.readouterr().err)
