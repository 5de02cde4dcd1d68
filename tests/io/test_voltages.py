"""Voltages files: saved states come back to the last bit; a file that cannot be used is named in one VoltagesError."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from datasets import xpue
from memristive.devices.measured_device import load_device
from memristive.devices.spice_model import PRESETS
from memristive.io.records import describe
from memristive.io.voltages import FORMAT, VERSION, VoltagesError, load_voltages, read_voltages, save_voltages
from memristive.learning.hebbian import array_setup
from memristive.network.chip import Chip, on_chip
from memristive.network.design import Schedule, Setup
from snn_circuit import NeuronParameters
from tests.helpers import ROOT, one_line

STATES = np.array([[2.83, -0.0123456789012345, 1 / 3], [7.04, 1e-17, 5e5]])
VALID = {"format": FORMAT, "version": VERSION, "dataset": "xpue", "rule": "error-driven", "voltages": STATES.tolist()}
PAPER = {f"xsnn.xmemristor_p{j}_{i}.cmem": STATES[j, i] for j in range(2) for i in range(3)}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """load(content): the `Voltages` in a file with this content (bytes, text or anything that JSON can hold)."""
    path = tmp_path_factory.mktemp("voltages") / "some.json"

    def run(content, function=load_voltages, shape=(2, 3)):
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return function(path, "xpue", *shape)
    return run


def test_saved_states_come_back_to_the_last_bit_with_their_setup(tmp_path, ngspice):
    chip = Chip(classes=2, inputs=3, cell_gain=0.1)
    setup = Setup(neuron=NeuronParameters(threshold=3.0), schedule=Schedule(pulse=2e-3))
    path = tmp_path / "new folder" / "some.json"
    save_voltages(path, STATES, dataset="xpue", rule="error-driven", engine="closed-form", encoding="grey", shape=(1, 3),
                  **describe(setup, chip))
    loaded = load_voltages(path, "xpue", 2, 3)
    assert loaded.states.tobytes() == STATES.tobytes() and loaded.shape == (1, 3)
    assert (loaded.rule, loaded.engine, loaded.encoding, loaded.chip) == ("error-driven", "closed-form", "grey", chip)
    assert loaded.setup().replace(devices=setup.devices) == setup
    assert np.array_equal(loaded.setup().devices.cells.gain, on_chip(setup, chip).devices.cells.gain)
    assert json.loads(path.read_text())["versions"]["ngspice"] == ngspice.version


def test_papers_flat_layout_is_read_in_any_order_with_the_default_setup(load):
    others = {"seed": 1, "xsnn.membrane": 3.9, "a.xsnn.xmemristor_p9_9.cmem": 1.0}
    default = Setup(schedule=Schedule(pulse=2e-3))
    for content in (PAPER, dict(reversed({**PAPER, **others}.items()))):
        loaded = load(content)
        assert loaded.states.tobytes() == STATES.tobytes()  # class first, input second
        assert (loaded.rule, loaded.encoding, loaded.engine, loaded.chip) == ("hebbian", "binary", "ngspice", None)
        assert loaded.setup(default) == default
    assert load({f"xsnn.xmemristor_p0_{i}.cmem": 1.0 for i in range(9)}, shape=(1, 9)).shape == (3, 3)


def test_voltages_of_a_model_that_changed_are_refused(tmp_path):
    for name in ("wox.json", "wox.lib"):
        shutil.copy(PRESETS / name, tmp_path / name.replace("wox.j", "mine.j"))
    model = tmp_path / "mine.json"
    device = dataclasses.replace(load_device(str(ROOT / "results" / "devices" / "wox_device.json")), model=str(model))
    setup = array_setup(Setup(), device, "v/2", xpue().patterns)
    save_voltages(tmp_path / "some.json", STATES, setup, ngspice=False)
    stored = load_voltages(tmp_path / "some.json")
    assert stored.setup().array == setup.array
    (tmp_path / "wox.lib").write_text((tmp_path / "wox.lib").read_text().replace("0.006", "0.003"))
    with pytest.raises(VoltagesError, match=r"mine\.json") as caught:
        stored.setup()
    assert "spice_device" in one_line(str(caught.value))


def test_states_of_ones_own_come_back_with_their_setup(tmp_path):
    """XPUE's inference reads them, too, because a file without a dataset is any dataset's."""
    setup = Setup(neuron=NeuronParameters(feedback_resistance=574.0), schedule=Schedule(pulse=2e-3))
    save_voltages(tmp_path / "own.json", STATES, setup, ngspice=False)
    assert load_voltages(tmp_path / "own.json", "xpue").setup() == setup == load_voltages(tmp_path / "own.json").setup(Setup())


def test_a_setup_that_is_not_in_the_file_must_be_given(load):
    for content in (VALID, PAPER, VALID | {"network": Setup().network.as_dict()}):
        with pytest.raises(VoltagesError, match="setup"):
            load(content).setup()
        assert load(content).setup(Setup()) == Setup()


TEXT, FLAT = json.dumps(VALID), json.dumps(PAPER)
DAMAGED = {
    "truncated": TEXT[:-10], "not UTF-8": TEXT.encode("utf-16"), "list": "[1, 2]",
    "empty object": "{}", "other format": {**VALID, "format": "png"},
    "other version": {**VALID, "version": 2}, "other dataset": {**VALID, "dataset": "mnist"},
    "no voltages": {key: VALID[key] for key in ("format", "version", "dataset")}, "number": {**VALID, "voltages": 3.0},
    "transposed": {**VALID, "voltages": STATES.T.tolist()},
    "ragged": {**VALID, "voltages": [[1, 2, 3], [4, 5]]}, "missing cell": {**VALID, "voltages": [[1, None, 3], [4, 5, 6]]},
    "NaN": TEXT.replace("7.04", "NaN"), "huge": TEXT.replace("7.04", "-2e6"), "paper's NaN": FLAT.replace("7.04", "NaN"),
    "paper's layout without a cell": {key: value for key, value in PAPER.items() if "_p0_2." not in key}}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_file_is_named_in_one_line(load, case):
    with pytest.raises(VoltagesError) as caught:
        load(DAMAGED[case])
    assert "some.json" in one_line(str(caught.value))
    with pytest.raises(VoltagesError, match=r"none\.json"):
        load_voltages("none.json")


@pytest.mark.parametrize("origin", [{"network": {"memristor": {"width": -1.0}}}, {"network": [1]}, {"schedule": {"pulses": 1.0}},
                                    {"chip": {"cells": 1}}])
def test_parameters_that_cannot_be_used_are_refused(load, origin):
    with pytest.raises(VoltagesError):
        load(VALID | origin).setup(Setup())


def test_layers_come_back_to_the_last_bit(tmp_path, load):
    layers = [np.random.default_rng(1).normal(5, 1, shape) for shape in ((4, 3), (2, 5))]
    save_voltages(tmp_path / "layers.json", layers, ngspice=False, dataset="xor")
    loaded = read_voltages(tmp_path / "layers.json", "xor")
    assert all(np.array_equal(one, other) for one, other in zip(loaded.states, layers, strict=True))
    with pytest.raises(VoltagesError, match="layers"):
        load_voltages(tmp_path / "layers.json", "xor")
    with pytest.raises(VoltagesError, match=r"some\.json"):
        load({**VALID, "layers": [[1.0]]}, read_voltages, ())
