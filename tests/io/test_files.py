"""Files that a stranger may have damaged: each wrong value is named with its file, or does no harm."""

import copy
import json
import math

import numpy as np
import pytest

from memristive.classifier import MemristiveClassifier
from memristive.classifier.stored import StoredClassifier, StoredEstimator
from memristive.devices.measured_device import MeasuredDevice, device_record, load_device
from memristive.files import REMOVED, FileProblem
from memristive.io.records import to_json
from memristive.io.voltages import Voltages, VoltagesError, describe_network, load_network
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.design import Convolution, LayerDesign
from memristive.network.layer import PulseWrites
from memristive.network.networks import network_on_chip
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters
from tests.helpers import ROOT, one_line

GONE = "deleted"
VALUES = (None, math.nan, -1, "x", [], {}, math.inf, GONE)  # JSON reads 1e400 as inf
CLASSES = (
    *(Voltages, MemristorParameters, LayerDesign, LayeredRule, PulseWrites, Chip, Convolution),
    *(MeasuredDevice, StoredEstimator, StoredClassifier),
)
UNREAD = {"versions", "hidden", "mapping"}  # entries of records, which no loader uses
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
    network, rule, voltages = load_network(path)
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
        for name in ("xpue", "layers_xor", "convolution_anywhere")
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
        for value in VALUES:
            content = copy.deepcopy(whole)
            if value is GONE:
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
            if value is GONE:
                assert isinstance(place[-1], int) or place[-1] in MAY_BE_MISSING, place
            elif place[0] in again and place[0] not in ("rule", *UNREAD):
                assert at(again, place) == value, (place, value)
    print(kind, len(outcomes), outcomes.count("refused"), outcomes.count("loaded"))
    assert outcomes.count("refused") > len(outcomes) / 2
