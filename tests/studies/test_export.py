"""Networks for the laboratory: pulses replayed by the device's curves give the states, names are
unique, and bad input gives one line.
"""

import numpy as np
import pandas as pd
import pytest

from datasets import xpue
from memristive.cli.script import exit_code
from memristive.devices.characterise import one_cell
from memristive.devices.measured_device import emulator, load_device
from memristive.io.voltages import save, save_voltages
from memristive.learning.hebbian import array_setup
from memristive.network.design import Setup
from snn_circuit import add_source
from studies import export
from tests.helpers import ROOT, one_line
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


@pytest.mark.parametrize("device", ["noisy", "pcmo", "epiram"])
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


def test_cells_of_a_spice_model_get_the_pulses_that_trained_them(ngspice, tmp_path):
    device = load_device(str(ROOT / "results/devices/wox_device.json"))
    patterns = xpue().patterns
    setup = array_setup(Setup(), device, "1t1r", patterns)
    x = setup.array.trained(patterns)  # the state of this model is x
    save_voltages(tmp_path / "net.json", x, setup)
    (table,), pulses = exported(tmp_path, tmp_path / "net.json")
    expected = np.where(patterns > 0, round(setup.array.pulses), 0).T
    assert np.abs(numbers(pulses, table) - expected).max() <= 1
    assert table.to_numpy() == pytest.approx(device.conductance(x).T, rel=0.01)


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
    [(["1.5"], "share"), (["none.csv"], "none.csv"), (["{file}"], "rows"), (["0", "0"], "layers")],
)
def test_bad_starts_give_one_line(tmp_path, capsys, start, word):
    save(tmp_path / "net.json", measured_network("linear", (), 1))
    (tmp_path / "a.csv").write_text("siemens,column_0_0\nrow_0_0,1e-6\n", encoding="utf-8")
    start = [part.format(file=tmp_path / "a.csv") for part in start]
    arguments = [str(tmp_path / "net.json"), "--results", str(tmp_path), "--start", *start]
    assert exit_code(export.main, arguments) == 2
    assert word in one_line(capsys.readouterr().err)
