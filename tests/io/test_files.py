"""Files that somebody may have damaged: a wrong value is named with its file."""

import copy
import json
import math
import os
import shutil
import signal

import numpy as np
import pytest

from memristive import build, infer, save
from memristive.classifier import MemristiveClassifier
from memristive.classifier.stored import StoredClassifier, StoredEstimator
from memristive.cli.script import exit_code
from memristive.commands import fit as device_fit
from memristive.devices.measured_device import MeasuredDevice, device_record, load_device
from memristive.devices.spice_model import PRESETS
from memristive.files import REMOVED, FileProblem
from memristive.io.networks import describe_network, load, network_of
from memristive.io.records import (
    checkpoint_at_interrupt,
    load_checkpoint,
    resumed,
    save_checkpoint,
    to_json,
)
from memristive.io.voltages import Voltages, VoltagesError, read_voltages, save_voltages
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign, Setup
from memristive.network.networks import network_on_chip
from memristive.parameters import ParameterError
from memristive.writing.ways import PulseWrites
from memristor import MemristorParameters
from tests.helpers import ROOT, one_line, script
from tests.network.networks import measured_network

GONE, UNKNOWN = "deleted", "a further entry"
VALUES = (None, math.nan, -1, "x", [], {}, math.inf, GONE, UNKNOWN)  # JSON reads 1e400 as inf
CLASSES = (
    *(Voltages, MemristorParameters, LayerDesign, LayeredRule, PulseWrites, Chip, Convolution),
    *(MeasuredDevice, StoredEstimator, StoredClassifier),
)
# entries of records, which no loader uses
UNREAD = {"versions", "hidden", "mapping", "parameters"}
MAY_BE_MISSING = {name for kind in CLASSES for name in kind.newer} | UNREAD | REMOVED.keys()
BESIDE = {"levels": ("up",)}  # other names in the message: curves replace levels


def places(content, path=()):
    """Yield the path of each entry, and of the first element of each list."""
    entries = content.items() if isinstance(content, dict) else enumerate(content[:1])
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list) and key not in UNREAD:
            yield from places(value, (*path, key))


def at(content, path):
    for key in path:
        content = content[key]
    return content


def network_again(path):
    """Return the entries of a network's file, as `save` would write them after loading it."""
    voltages = read_voltages(path)
    network, rule = network_of(voltages)
    network = network_on_chip(network, voltages.chip)
    assert all(np.isfinite(states).all() for states in network.states)
    return describe_network(
        voltages.dataset, voltages.shape, network, rule, voltages.engine, voltages.encoding
    )


def classifier_again(path):
    model = MemristiveClassifier.load(path)
    model.predict(np.zeros((1, 2)))
    return {"estimator": model.get_params()}


KINDS = {
    **{
        name: (f"voltages/{name}.json", network_again)
        for name in ("xpue", "layers_xor", "convolution_digits")
    },
    "chip": ("voltages/mnist_error_driven_grey_chip.json", network_again),
    "late": ("voltages/device_epiram_1_late.json", network_again),
    "gate": ("voltages/gate_li-1t1r.json", network_again),
    "classifier": ("", classifier_again),
    "preset": (
        "memristive/devices/presets/epiram.json",
        lambda path: device_record(load_device(str(path))),
    ),
    "cell with a gate": (
        "memristive/devices/presets/li-1t1r.json",
        lambda path: device_record(load_device(str(path))),
    ),
}


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory):
    rng = np.random.default_rng(1)
    model = MemristiveClassifier(
        (2,), chip=Chip(seed=3, cell_gain=0.1), memristor=MemristorParameters(), epochs=1
    ).fit(rng.random((20, 2)), np.arange(20) % 2)
    return model.save(tmp_path_factory.mktemp("classifier") / "model.json")


def shortened(content):
    """Return a single layer with four rows of the image and two classes, for a quick test."""
    (layer,) = content.get("layers", [content.get("voltages")])
    rows, pairs = 4 + ("layers" in content), content.get("design", {}).get("pairs", 0)
    cut = [row[:rows] for row in layer[: 2 * max(1, 2 * pairs)]]
    key, value = ("layers", [cut]) if "layers" in content else ("voltages", cut)
    return content | {key: value, "shape": [2, 2]}


@pytest.mark.parametrize("kind", KINDS)
def test_each_damaged_entry_is_named_or_loaded_as_it_stands(kind, tmp_path, classifier_file):
    source, load_again = KINDS[kind]
    source, path = ROOT / source if source else classifier_file, tmp_path / "damaged.json"
    whole = json.loads(source.read_text())
    whole = shortened(whole) if kind in ("chip", "late", "gate") else whole
    outcomes = []
    for place in places(whole):
        if kind == "classifier" and place[0] == "network":
            continue  # that is the content of a network's file
        for value in VALUES:
            content = copy.deepcopy(whole)
            if value is UNKNOWN:
                if not isinstance(at(content, place), dict) or place[0] in UNREAD:
                    continue
                at(content, place)["unknown"] = 1
            elif value is GONE:
                del at(content, place[:-1])[place[-1]]
            else:
                at(content, place[:-1])[place[-1]] = value
            path.write_text(json.dumps(content))
            name = next(str(key) for key in reversed(place) if isinstance(key, str))
            names = {name, place[0], *BESIDE.get(name, ())}
            try:
                again = json.loads(to_json(load_again(path)))
            except (ParameterError, VoltagesError, FileProblem) as error:
                text = one_line(str(error))
                assert "damaged.json" in text and any(one in text for one in names), (place, text)
                outcomes.append("refused")
                continue
            outcomes.append("loaded")
            assert value is not UNKNOWN, place
            if value is GONE:
                assert isinstance(place[-1], int) or place[-1] in MAY_BE_MISSING, place
            elif place[0] in again and place[0] not in ("rule", *UNREAD):
                assert at(again, place) == value, (place, value)
    assert outcomes.count("refused") > 0.8 * len(outcomes) and "loaded" in outcomes


def test_each_damaged_entry_of_a_checkpoint_is_named(tmp_path):
    rule, path = LayeredRule(presentations=6), tmp_path / "damaged.checkpoint"
    start = Learning.start(measured_network("linear", (), 1, late=True), rule)
    whole = {**start.arrays(), "rows": "[]"}

    def load_again(content):
        save_checkpoint(path, content, {"seed": 1})
        progress = load_checkpoint(path, {"seed": 1}, {"rows": "[]"})
        return start.restored(progress, path).arrays()

    assert load_again(whole).keys() == start.arrays().keys()
    assert {"states_0", "held_0", "history", "done", "rows"} == whole.keys()
    for name, value in whole.items():
        damages = [math.nan, -1, "x", "{}", [], np.full(np.shape(value), math.inf), GONE]
        for damage in damages:
            content = whole | {name: damage}
            if damage is GONE:
                del content[name]
            with pytest.raises(FileProblem, match=rf"damaged\.checkpoint: {name}"):
                load_again(content)


def test_states_that_are_not_finite_are_neither_saved_nor_read(tmp_path, ngspice, classifier_file):
    setup, states = Setup(), np.full((2, 3), 7.0)
    broken = states.copy()
    broken[1, 2] = math.nan
    with pytest.raises(VoltagesError, match=r"v\.json: voltages"):
        save_voltages(tmp_path / "v.json", broken, setup, ngspice=False)
    model = MemristiveClassifier.load(classifier_file)
    model.network_.states[0][0, 0] = math.nan
    with pytest.raises(ParameterError, match=r"model\.json: layers"):
        model.save(tmp_path / "model.json")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ParameterError, match="states"):
        infer(setup, broken, np.eye(3))
    assert infer(setup, states, np.eye(3)).spikes.shape == (3, 2)  # ngspice has not given up


def test_a_network_whose_devices_model_changed_is_refused(tmp_path):
    for name in ("wox.json", "wox.lib"):
        shutil.copy(PRESETS / name, tmp_path / name)
    device, library = str(tmp_path / "device.json"), tmp_path / "wox.lib"
    content = json.loads((ROOT / "results/devices/wox_device.json").read_text())
    (tmp_path / "device.json").write_text(
        json.dumps(content | {"model": str(tmp_path / "wox.json")})
    )
    save(tmp_path / "network.json", build(np.ones((12, 4)), 2, device=device)[0])
    load(tmp_path / "network.json")
    library.write_text(library.read_text().replace("8e-5", "16e-5"))
    with pytest.raises(VoltagesError, match="memristive measure") as caught:
        load(tmp_path / "network.json")
    one_line(str(caught.value))


def test_a_second_interrupt_waits_for_the_checkpoint(tmp_path):
    path = tmp_path / "some.checkpoint"

    def progress():
        os.kill(os.getpid(), signal.SIGINT)
        return {"done": 7}

    with pytest.raises(KeyboardInterrupt), checkpoint_at_interrupt(path, progress, {"seed": 1}):
        raise KeyboardInterrupt
    assert resumed(path, {"seed": 1}, resume=True, force=False)["done"] == 7


def test_a_name_with_folders_writes_nothing_outside(tmp_path, capsys):
    table, results = tmp_path / "table.csv", tmp_path / "results"
    steps = [*np.linspace(1e-6, 2e-6, 20), *np.linspace(2e-6, 1e-6, 20)]
    table.write_text("\n".join(["conductance,direction", *(f"{g},up" for g in steps)]))
    assert (
        exit_code(device_fit.main, [str(table), "--results", str(results), "--name", "../x"]) == 2
    )
    assert "../x" in one_line(capsys.readouterr().err) and list(tmp_path.iterdir()) == [table]


def test_a_library_that_is_not_ngspice_is_named():
    errors = script(
        "XPUE_memristive_inference.py",
        code=2,
        env=os.environ | {"NGSPICE_LIBRARY_PATH": "libm.so.6"},
    )
    assert "libm.so.6" in one_line(errors)
