"""Laws of cells without voltage: against ngspice over decades of time, in networks, in files."""

import dataclasses
import json

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive import Chip, build, learn, load, save
from memristive.devices.aging import Aging
from memristive.devices.cells import Cells
from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.devices.retention import fit_retention
from memristive.io.voltages import VoltagesError
from memristive.parameters import ParameterError
from memristor import read_current
from tests.network.networks import drives

IMAGES = np.random.default_rng(1).random((12, 9))
DRIFT = {"drift": 0.05, "drift_spread": 0.02}
KIND = dataclasses.replace(load_device("epiram"), **DRIFT)


def network(device=KIND, seed=5, **options):
    return build(IMAGES, 3, device=device, chip=Chip(cell_gain=0.1, seed=seed), **options)[0]


def siemens(of, layer=0):
    """Conductances at the read voltage, columns x rows, a reference column last."""
    found = of.layers[layer]
    cells = Cells.of(found.memristor, found.devices.cells)
    states = found.with_reference(of.states[layer])
    return read_current(cells, states, np.full(found.rows, 0.1)) / 0.1


def test_both_laws_over_seven_decades_are_those_of_ngspice(simulate):
    """The capacitors' time is the logarithm of the cells' time, so a transient of 16 s lasts for
    1e7 s. The laws are dG/dt = -nu G / t from 1 s on, and dx/dt = -(x - rest) / tau.
    """
    nu, tau, rest = 0.05, 3e4, 0.3
    circuit = Circuit("one cell of each kind")
    circuit.B("clock", "clock", circuit.gnd, voltage_expression="exp(time)")
    rates = {"drifts": f"{nu}*v(drifts)/v(clock)", "relaxes": f"(v(relaxes)-{rest})/{tau}"}
    for node, rate in rates.items():
        circuit.C(node, node, circuit.gnd, 1.0, raw_spice="ic=0.8")
        circuit.B(node, node, circuit.gnd, current_expression=f"({rate})*v(clock)")
    waves = simulate(circuit, list(rates), np.log(1e7), max_step=1e-3)
    time = np.exp(waves.time)
    drifting, relaxing = Aging(drift=nu), Aging(retention=tau, rest=rest)
    assert waves["drifts"] == pytest.approx(drifting.aged(0.8, 0.0, nu, 0.0, time), abs=1e-5)
    assert waves["relaxes"] == pytest.approx(relaxing.aged(0.8, 0.0, 0.0, 0.0, time - 1), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"pairs": 0}, {"hidden": 4, "pairs": 0, "late": True}])
def test_the_whole_conductance_of_each_cell_falls_by_its_own_power_of_time(options):
    young = network(**options)
    old = young.aged(1e6)
    exponents = np.concatenate(
        [
            -np.log(siemens(old, k) / siemens(young, k)).ravel() / np.log(1e6)
            for k in range(len(young.layers))
        ]
    )
    assert exponents.min() >= 0
    assert exponents.mean() == pytest.approx(0.05, abs=4 * 0.02 / np.sqrt(len(exponents)))
    assert exponents.std() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("pairs", [0, 1])
def test_a_drift_that_all_cells_share_scales_what_weights_add_to_the_bias(pairs):
    """Drives are bias + share x weights, if a reference column drifts, too; else its current
    outweighs the columns', and no neuron fires.
    """
    common = dataclasses.replace(KIND, drift_spread=0.0)
    young = build(IMAGES, 3, device=common, pairs=pairs, late=True)[0]
    states = young.states[0] + np.random.default_rng(3).normal(0.0, 0.3, young.states[0].shape)
    young = dataclasses.replace(young, states=(states,))
    old, bias = young.aged(1e6), young.design.output_bias
    before, after = drives(young, IMAGES) - bias, drives(old, IMAGES) - bias
    both = ~np.isnan(before) & ~np.isnan(after)
    assert both.mean() > 0.5
    assert after[both] == pytest.approx(before[both] * 1e6**-0.05, abs=0.01)
    if not pairs:
        fixed = dataclasses.replace(old, devices=None, past=())
        assert np.isnan(fixed.first_spikes(IMAGES)).all()


def test_a_gain_that_follows_a_column_undoes_the_common_drift():
    common = dataclasses.replace(KIND, drift_spread=0.0)
    young = build(IMAGES, 3, hidden=5, device=common, presentations=30)[0]
    old = young.aged(10.0, follow=True).aged(1e6, follow=True)
    before, after = (of.first_spikes(IMAGES) for of in (young, old))
    assert after == pytest.approx(before, abs=1e-8, nan_ok=True)
    assert young.aged(1e6).first_spikes(IMAGES) != pytest.approx(before, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("pairs", [0, 1])
def test_two_waits_are_one_and_a_write_begins_a_new_one(pairs):
    young = network(pairs=pairs)
    twice, once = young.aged(50.0).aged(950.0), young.aged(1000.0)
    assert siemens(twice) == pytest.approx(siemens(once))
    states = once.states[0].copy()
    states[0] += 0.1
    written = dataclasses.replace(once, states=(states,))
    assert set(np.unique(written.ages[0][0])) == {0.0}
    assert set(np.unique(written.ages[0][1:])) == {1000.0}
    share = siemens(written.aged(9000.0)) / siemens(written)
    nu = -np.log(siemens(once) / siemens(young)) / np.log(1000)
    assert share[0] == pytest.approx(9000 ** -nu[0])
    assert share[1:] == pytest.approx(10 ** -nu[1:])


def test_the_chip_decides_which_cells_drift_most_and_stuck_cells_stay():
    one, other = (network(seed=seed).aged(1e4).states[0] for seed in (1, 2))
    assert not np.allclose(one, other)
    stuck = Chip(stuck_anywhere=0.5, stuck_lowest=-1.5, stuck_state=1.5, seed=3)
    young = build(IMAGES, 3, device=KIND, chip=stuck)[0]
    still = young.aged(1e4).states[0] == young.states[0]
    assert np.array_equal(still, young.layers[0].write_gains == 0) and 0.3 < still.mean() < 0.7


def test_a_file_keeps_the_ages(tmp_path):
    old = network(pairs=0).aged(300.0)
    save(tmp_path / "old.json", old)
    loaded = load(tmp_path / "old.json")
    assert np.array_equal(loaded.ages[0], old.ages[0])
    assert siemens(loaded.aged(1e5)) == pytest.approx(siemens(old.aged(1e5)), rel=1e-12)
    content = json.loads((tmp_path / "old.json").read_text(encoding="utf-8"))
    for damage in ([], [[1.0]], [[[1.0, 2.0]]], "x", [content["past"][0][:1]]):
        text = json.dumps(content | {"past": damage})
        (tmp_path / "damaged.json").write_text(text, encoding="utf-8")
        with pytest.raises(VoltagesError, match="past"):
            load(tmp_path / "damaged.json")


def test_what_cannot_age_is_refused():
    with pytest.raises(ParameterError, match="neither drift nor retention"):
        network("epiram").aged(1.0)
    with pytest.raises(ParameterError, match="seconds"):
        network().aged(-1.0)
    with pytest.raises(ParameterError, match="retention"):
        MeasuredDevice(drift=0.1, retention=5.0)


TIMES, NAMES = np.tile(np.logspace(0, 5, 15), 8), np.repeat(np.arange(8), 15)


def readings(law, scatter=0.01, seed=0):
    """Conductances of eight devices at `TIMES`, each at another level."""
    rng = np.random.default_rng(seed)
    start = 1e-5 * rng.uniform(0.3, 1.0, 8)[NAMES]
    exact = start * TIMES ** -np.linspace(0.02, 0.09, 8)[NAMES]
    if law == "relaxation":
        exact = 3e-6 + (start - 3e-6) * np.exp(-TIMES / 2e3)
    return exact * np.exp(scatter * rng.standard_normal(len(TIMES)))


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_finds_the_law_that_made_the_readings(seed):
    drift = fit_retention(TIMES, readings("drift", seed=seed), NAMES)
    found = drift.changes(1e-6, 1e-5)
    assert drift.criteria["relaxation"] > 20
    assert found["drift"] == pytest.approx(0.055, abs=0.002)
    assert found["drift_spread"] == pytest.approx(0.0245, abs=0.003)
    relaxation = fit_retention(TIMES, readings("relaxation", seed=seed), NAMES)
    found = relaxation.changes(1e-6, 1.1e-5)
    assert relaxation.criteria["drift"] > 20
    assert found["retention"] == pytest.approx(2e3, rel=0.05)
    assert found["rest"] == pytest.approx(0.2, abs=0.01)


def test_the_spread_of_equal_devices_is_not_that_of_their_fits():
    found = [
        fit_retention(
            TIMES,
            1e-5 * TIMES**-0.05 * np.exp(0.05 * np.random.default_rng(k).standard_normal(120)),
            NAMES,
        ).changes(1e-6, 1e-5)["drift_spread"]
        for k in range(5)
    ]
    assert np.median(found) < 0.002


@pytest.mark.parametrize("count", [6, 8])
def test_few_readings_of_devices_that_keep_their_state_show_no_law(count):
    """Laws with more parameters follow any few readings more closely."""
    refused = 0
    for seed in range(20):
        scatter = 0.02 * np.random.default_rng(seed).standard_normal(count)
        try:
            fit_retention(np.logspace(0, 4, count), 1e-5 * np.exp(scatter))
        except ParameterError:
            refused += 1
    assert refused >= 18


@pytest.mark.parametrize(
    ("time", "conductance", "message"),
    [
        ([1, 2, 3, 4, 5, 6], [1e-6, 1e-6, -1e-6, 1e-6, 1e-6, 1e-6], "sign"),
        (np.arange(1, 21), 1e-6 * (1 + 0.1 * (-1.0) ** np.arange(20)), "scatter"),
        (np.arange(1, 81), 1e-5 + 5e-5 * (1 - np.abs(np.arange(80) / 40 - 1)), "no law"),
    ],
)
def test_readings_that_cannot_tell_are_refused(time, conductance, message):
    with pytest.raises(ParameterError, match=message):
        fit_retention(time, conductance)


WEARING = dataclasses.replace(load_device("epiram"), endurance=4.0, endurance_spread=0.5)


def test_cells_stick_after_their_number_of_pulses(tmp_path):
    images, labels = np.random.default_rng(2).random((30, 9)), np.arange(30) % 3
    start, rule = build(images, 3, device=WEARING, chip=Chip(seed=4), presentations=5000)
    done = learn(start, rule, images, labels).network
    limits = done.parameters.memristor.aging.limits(done.states[0].shape, 4, 0)
    worn = done.wear[0] >= limits
    assert worn.mean() > 0.3 and np.array_equal(worn, done.layers[0].write_gains == 0)
    assert limits.mean() == pytest.approx(4.0, rel=0.25)
    again = learn(done, rule, images, labels).network
    assert np.array_equal(again.states[0][worn], done.states[0][worn])
    save(tmp_path / "worn.json", done)
    loaded = load(tmp_path / "worn.json")
    assert np.array_equal(loaded.layers[0].write_gains, done.layers[0].write_gains)
    with pytest.raises(ParameterError, match="endurance"):
        learn(start, rule, images, labels, engine="ngspice")
