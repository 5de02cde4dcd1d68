"""Each kind of network through each door, with images of one's own: crosses and rings at random
places. A new kind is one more line.
"""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest

import memristive
from memristive import Chip, MemristiveClassifier, build, learn
from memristive.devices.measured_device import MeasuredDevice, device_record, load_device
from memristive.io.records import to_json
from tests.helpers import measured_spikes

RNG = np.random.default_rng(7)
CHIP = Chip(cell_gain=0.05, neuron_threshold=0.02, seed=3)
DRIFTING = dataclasses.replace(load_device("epiram"), drift=0.03, drift_spread=0.01)
AGE = 1e4  # s, of networks whose device ages
# options of `build`, which the estimator takes as well
KINDS = {
    "paper's layer": {},
    "hidden": {"hidden": 6},
    "pairs": {"device": "epiram"},
    "late": {"device": "epiram", "late": True},
    "late, hidden, chip": {"device": "pcmo", "hidden": 6, "late": True, "chip": CHIP},
    "gate": {"device": "li-1t1r"},
    "one-sided, late, hidden, chip": {"device": "taox", "hidden": 6, "late": True, "chip": CHIP},
    "convolution": {"hidden": 4, "convolution": {"window": 3, "regions": 2}},
    "convolution, late": {"device": "epiram", "late": True, "hidden": 4, "convolution": {}},
    "two convolutions": {"hidden": (4, 6), "convolution": [{"window": 3}, {"window": 2}]},
    "two convolutions, late": {
        "device": "epiram",
        "late": True,
        "hidden": (4, 6),
        "convolution": [{}, {"window": 2}],
    },
    "drift, late": {"device": DRIFTING, "late": True},
    "drift, reference column, hidden": {"device": DRIFTING, "late": True, "pairs": 0, "hidden": 6},
    "drift, gate": {"device": dataclasses.replace(load_device("li-1t1r"), drift=0.03)},
}


def shapes(count):
    """Images of 6x6 pixels with a cross (1) or a ring (0), and their labels."""
    images, labels = np.zeros((count, 6, 6)), RNG.integers(0, 2, count)
    for image, label in zip(images, labels, strict=True):
        row, column = RNG.integers(1, 5, 2)
        image[row - 1 : row + 2, column - 1 : column + 2] = 1 - label
        if label:
            image[row - 1 : row + 2, column] = image[row, column - 1 : column + 2] = 1
        else:
            image[row, column] = 0
        image *= RNG.uniform(0.6, 1)
    return images, labels


IMAGES, LABELS = shapes(150)
NEW, TRUTH = shapes(200)


@functools.cache
def trained(kind):
    network, rule = build(IMAGES, 2, presentations=6000, seed=1, **KINDS[kind])
    network = learn(network, rule, IMAGES, LABELS).network
    return network.aged(AGE) if network.parameters.memristor.aging else network, rule


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_it_recognises_images_that_it_has_not_seen(kind):
    network = trained(kind)[0]
    right = np.nanargmin(np.nan_to_num(memristive.read(network, NEW), nan=1), axis=1) == TRUTH
    assert np.mean(right) > (0.6 if network.past else 0.7)  # some read worse when they have aged


def test_both_engines_and_the_netlist_fire_together(kind, ngspice, tmp_path):
    network = trained(kind)[0]
    first = np.nanmin(memristive.read(network, NEW[:1]))
    simulated = memristive.read(network, NEW[:1], engine="ngspice")
    assert np.nanmin(simulated) == pytest.approx(first, abs=1e-6)
    (tmp_path / "read.cir").write_text(memristive.netlist(network, NEW[0]), encoding="utf-8")
    assert np.nanmin(measured_spikes(tmp_path / "read.cir", 2)) == pytest.approx(first, abs=1e-6)


def test_ngspice_learns_what_the_closed_form_learns(kind, ngspice):
    """Set a margin that no neuron reaches, so that each presentation writes, or adds a dose."""
    network, rule = trained(kind)
    rule = dataclasses.replace(rule, presentations=2, margin=1e-2)
    one, other = (
        learn(network, rule, IMAGES, LABELS, engine=engine).network
        for engine in ("closed-form", "ngspice")
    )
    found = [*zip(network.states, one.states, other.states, strict=True)]
    if network.waiting:
        found += zip(network.waiting, one.waiting, other.waiting, strict=True)
    assert any(np.abs(after - before).max() > 1e-3 for before, after, _ in found)
    for _, closed, simulated in found:
        assert closed == pytest.approx(simulated, abs=0.02)  # V, below a hundredth of the range


def test_its_file_gives_the_same_spikes(kind, tmp_path):
    network, rule = trained(kind)
    memristive.save(tmp_path / "network.json", network, rule)
    spikes = [
        memristive.read(of, NEW[:5]) for of in (network, memristive.load(tmp_path / "network.json"))
    ]
    assert np.array_equal(*spikes, equal_nan=True)


def test_its_costs_add_up(kind):
    network, rule = trained(kind)
    few = dataclasses.replace(rule, presentations=300)
    found = memristive.costs(network, IMAGES, LABELS, few, sample=5)
    read = found.ledgers["inference"]
    # a training has 300 reads, each at least as long as that of an inference at its start
    assert found.ledgers["training"].sum() > 30 * read.sum() and found.errors > 0
    assert "of 5 images" in str(found) and found.area["cells"] > 0


def test_the_laboratory_gets_each_cell_and_the_bias(kind, tmp_path):
    network = trained(kind)[0]
    memristive.export(network, tmp_path)
    cells = [pd.read_csv(path, index_col=0) for path in sorted(tmp_path.glob("conductances_*"))]
    assert [table.size for table in cells] == [of.rows * of.width for of in network.layers]
    assert "bias_resistor" in (tmp_path / "circuit.csv").read_text()
    assert all((table > 0).all(axis=None) for table in cells)


def test_the_estimator_learns_it(kind, tmp_path):
    options = dict(KINDS[kind])
    if isinstance(options.get("device"), MeasuredDevice):
        file = tmp_path / "device.json"
        file.write_text(to_json(device_record(options["device"])), encoding="utf-8")
        options["device"] = str(file)
    images = IMAGES if "convolution" in options else IMAGES.reshape(len(IMAGES), -1)
    new = NEW if "convolution" in options else NEW.reshape(len(NEW), -1)
    names = np.array(["ring", "cross"])
    model = MemristiveClassifier(**options, epochs=40, random_state=1).fit(images, names[LABELS])
    assert model.score(new, names[TRUTH]) > (0.6 if "one-sided" in kind else 0.8)
    loaded = MemristiveClassifier.load(model.save(tmp_path / "model.json"))
    assert np.array_equal(loaded.spike_times(new), model.spike_times(new), equal_nan=True)


def test_a_convolution_refuses_images_that_lie_on_their_side():
    images = np.random.default_rng(1).random((12, 5, 8))
    network, _ = build(images, 2, hidden=3, convolution={}, presentations=5)
    memristive.read(network, images)
    model = MemristiveClassifier(3, convolution={}, epochs=1).fit(images, np.arange(12) % 2)
    for read in (functools.partial(memristive.read, network), model.predict):
        with pytest.raises(ValueError, match=r"5 x 8|\(5, 8\)"):
            read(images.transpose(0, 2, 1))
