"""Weights from software: spikes have the order of the sums; files of three formats agree."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from memristive import Chip, learn, load_weights
from memristive.accounting.costs import read_in_closed_form
from memristive.datasets import matching_dataset
from memristive.io import weights
from memristive.io.networks import load
from memristive.io.nir_graph import drives, nir_weights, save_nir
from memristive.io.weights import software_sums, weights_of
from memristive.network.convolution import Convolution
from memristive.network.networks import network_on_chip
from memristive.parameters import ParameterError
from tests.helpers import ROOT
from tests.network.kinds import IMAGES as PIXELS
from tests.network.kinds import WINDOWS
from tests.network.kinds import layers as layers_of_kinds

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.data / 16, DIGITS.target
TRAINED, TESTED = slice(0, 1200), slice(1200, None)


@pytest.fixture(scope="module")
def mlp():
    return MLPClassifier((30,), max_iter=400, random_state=1, alpha=1e-3).fit(
        IMAGES[TRAINED], LABELS[TRAINED]
    )


@pytest.fixture(scope="module")
def layers(mlp):
    return [(w.T, b) for w, b in zip(mlp.coefs_, mlp.intercepts_, strict=True)]


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(weights, "JUDGED", 200)


@pytest.fixture(scope="module")
def converted(layers):
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match="clipped"):
        patch.setattr(weights, "JUDGED", 200)
        return load_weights(layers, IMAGES[TRAINED])


def accuracy(network):
    spikes = network.first_spikes(IMAGES[TESTED])
    first = np.nan_to_num(spikes, nan=np.inf)
    fired = np.isfinite(first).any(axis=1)
    return np.mean((first.argmin(axis=1) == LABELS[TESTED]) & fired)


def test_a_trained_network_is_read_alike(mlp, converted):
    assert accuracy(converted[0]) > mlp.score(IMAGES[TESTED], LABELS[TESTED]) - 0.03


def test_carried_to_a_chip_it_fails_and_is_repaired_there(mlp, layers):
    spread = Chip(cell_gain=0.1, neuron_threshold=0.1)
    with pytest.warns(UserWarning, match="clipped"):
        carried, rule = load_weights(layers, IMAGES[TRAINED], "epiram", chip=spread)
    repaired = learn(carried, rule, IMAGES[TRAINED], LABELS[TRAINED]).network
    assert accuracy(carried) < accuracy(repaired) - 0.1
    assert accuracy(repaired) > mlp.score(IMAGES[TESTED], LABELS[TESTED]) - 0.08


def test_hidden_neurons_fire_if_their_sum_is_positive_and_in_its_order(layers, converted):
    """Settled membranes are 1 + z / s thresholds. Clipped weights and op-amps of finite gain move
    sums by less than 2 %.
    """
    sums = software_sums(layers, IMAGES[TESTED])[0]
    times = converted[0].forward(IMAGES[TESTED])[0]
    small = 0.02 * np.abs(sums).max()
    assert np.isfinite(times[sums > small]).all() and np.isnan(times[sums < -small]).all()
    larger = sums[:, :, None] > sums[:, None, :] + small
    both = np.isfinite(times[:, :, None]) & np.isfinite(times[:, None, :])
    earlier = times[:, :, None] < times[:, None, :]
    assert earlier[larger & both].all() and (larger & both).sum() > 1000


def test_a_convolution_keeps_the_largest_sum_of_each_region():
    random = np.random.default_rng(1)
    kernels, above = random.normal(size=(5, 1, 3, 3)), random.normal(size=(10, 5 * 2 * 2))
    arrays = {
        "conv.weight": kernels,
        "conv.bias": random.normal(size=5),
        "out.weight": above,
        "out.bias": random.normal(size=10),
    }
    images = IMAGES[:200].reshape(-1, 8, 8)
    with pytest.warns(UserWarning):
        network, _ = load_weights(arrays, images)
    assert network.kinds == (Convolution(8, 8, 3, 1, 2),)
    windows = np.lib.stride_tricks.sliding_window_view(images[:20], (3, 3), (1, 2))
    sums = np.einsum("nyxab,kab->nyxk", windows, kernels[:, 0]) + arrays["conv.bias"]
    sums = sums.reshape(20, 2, 3, 2, 3, 5).max(axis=(2, 4)).reshape(20, 4, 5)  # of each region
    times = network.forward(images[:20].reshape(20, -1))[0].reshape(20, 4, 5)
    large = 0.05 * np.abs(sums).max()
    assert np.isfinite(times[sums > large]).all() and np.isnan(times[sums < -large]).all()


def safetensors(arrays):
    header, data = {}, b""
    for name, values in arrays.items():
        part = np.asarray(values, "<f4").tobytes()
        offsets = [len(data), len(data) + len(part)]
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": offsets}
        data += part
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_files_of_arrays_give_the_same_layers(layers, tmp_path):
    arrays = {
        f"{k}.{name}": values
        for k, (weights, bias) in enumerate(layers)
        for name, values in (("weight", weights), ("bias", bias))
    }
    np.savez(tmp_path / "mlp.npz", **arrays)
    (tmp_path / "mlp.safetensors").write_bytes(safetensors(arrays))
    for source in (arrays, tmp_path / "mlp.npz", tmp_path / "mlp.safetensors"):
        found, window = weights_of(source)
        assert window == 0
        for (matrix, bias), (given, given_bias) in zip(found, layers, strict=True):
            assert np.allclose(matrix, given, rtol=1e-6) and np.allclose(bias, given_bias, 1e-6)


@pytest.mark.parametrize("names", [("2", "10", "20"), ("encoder", "dense", "out")])
def test_the_order_of_layers_follows_from_numbers_or_is_asked_for(names, tmp_path):
    """Square layers that the format sorts by name: "10" before "2", "dense" before "encoder"."""
    random = np.random.default_rng(3)
    matrices = [random.normal(size=size) for size in ((9, 9), (9, 9), (2, 9))]
    arrays = {f"{name}.weight": of for name, of in zip(names, matrices, strict=True)}
    (tmp_path / "m.safetensors").write_bytes(safetensors(dict(sorted(arrays.items()))))
    if names[0] == "2":
        found, _ = weights_of(tmp_path / "m.safetensors")
        assert all(np.allclose(*of) for of in zip([w for w, _ in found], matrices, strict=True))
    else:
        with pytest.raises(ParameterError, match=r"encoder\.weight"):
            weights_of(tmp_path / "m.safetensors")


def test_labels_show_that_layers_are_read_in_another_order(mlp):
    turned = mlp.coefs_[0].T[:, ::-1], mlp.intercepts_[0]  # pixels in reverse
    wrong = [turned, (mlp.coefs_[1].T, mlp.intercepts_[1])]
    with pytest.warns(UserWarning, match="labelled"):
        load_weights(wrong, IMAGES[TRAINED], labels=LABELS[TRAINED])


@pytest.mark.parametrize("header", ["[]", "[" * 100_000])
def test_a_damaged_header_is_one_line(header, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(ParameterError, match=r"m\.safetensors"):
        weights_of(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda layers: {"0.weight": layers[0][0], "0.b": layers[0][1]}, r"0\.b"),
        (lambda layers: [(of.T, np.zeros(0)) for of, _ in layers[::-1]], "transpose"),
        (lambda layers: [layers[1], layers[0]], "64 inputs"),
        (lambda layers: [(layers[0][0] * np.nan, layers[0][1])], "finite"),
        (lambda layers: ROOT / "README.md", "README.md"),
    ],
)
def test_wrong_weights_are_one_line(change, named, layers):
    with pytest.raises(ParameterError, match=named) as error:
        load_weights(change(layers), IMAGES[TRAINED])
    assert "\n" not in str(error.value)


# NIR

nir = pytest.importorskip("nir")


@pytest.mark.parametrize(
    "name", ["layers_mnist", "device_epiram_1", "mnist_closed_form_grey", "convolution_digits"]
)
def test_a_graph_of_nir_has_the_first_spikes_of_the_network(name, tmp_path):
    """Exact equations of NIR's nodes, with inputs that rise at once: spikes of the circuit come
    later by about half of an edge.
    """
    network = load(ROOT / "voltages" / f"{name}.json")
    save_nir(tmp_path / "x.nir", network)
    arrays = list(nir_weights(tmp_path / "x.nir").values())
    layer = network.layers[0]
    assert np.allclose(
        arrays[0].reshape(layer.neurons, -1), drives(layer, network.states[0])[:, : layer.inputs]
    )
    if network.kinds:
        return
    images = matching_dataset("mnist").test.levels[:300]
    sums = network.design.read_levels(images) @ arrays[0].T + arrays[1]
    above = np.where(sums > 1, sums, np.nan)
    times = layer.neuron.time_constant * np.log(above / (above - 1))
    found = network.forward(images)[0]
    late = (found - times)[np.isfinite(found) & (sums > 1.2)]
    assert np.median(late) == pytest.approx(layer.rise / 2, rel=0.2)
    order = [np.argmin(np.nan_to_num(of, nan=1.0), axis=1) for of in (times, found)]
    assert np.mean(order[0] == order[1]) > 0.97


def test_a_graph_keeps_both_convolutions_with_the_layer_above(tmp_path):
    """Sum the weights of NIR over the maps that have fired: the membranes settle there."""
    kinds = WINDOWS, Convolution(2, 2, window=2, regions=1, channels=2)
    network = layers_of_kinds((2, 2, 3), kinds=kinds)
    save_nir(tmp_path / "x.nir", network)
    nodes = nir.read(tmp_path / "x.nir").nodes
    each = (read_in_closed_form(network, image / 5) for image in PIXELS)
    seen = next(seen for seen in each if 2 < np.isnan(seen.times[0]).sum() < 6)

    def maps(values, side):  # two kernels
        return values.reshape(side, side, 2).transpose(2, 0, 1)

    fired = maps(~np.isnan(seen.times[0]), 2)
    windows = np.lib.stride_tricks.sliding_window_view(fired, (2, 2), (1, 2))
    sums = np.einsum("cyxij,kcij->kyx", windows, nodes["conv_1"].weight)
    sums += nodes["conv_1"].bias[:, None, None]
    assert maps(seen.settled[1], 1) == pytest.approx(sums, rel=0.01)
    fired = maps(~np.isnan(seen.times[1]), 1).ravel()
    sums = nodes["affine_2"].weight @ fired + nodes["affine_2"].bias
    assert seen.settled[2] == pytest.approx(sums, rel=0.01) and fired.any()
    order = ["conv", "lif", "step", "pool", "first"]
    expected = [f"{name}_{k}" for k in (0, 1) for name in order]
    assert {name for name in nodes if name[-1] in "01"} == {*expected, "flatten_1"}


def test_drives_are_those_of_the_thresholds_of_a_chip():
    """A neuron with half the threshold is driven twice as far."""
    network = load(ROOT / "voltages" / "device_epiram_1.json")
    chip = Chip(neuron_threshold=0.1, seed=4)
    layer, nominal = network_on_chip(network, chip).layers[0], network.layers[0]
    own = np.ravel(layer.devices.neurons.threshold)
    expected = drives(nominal, network.states[0]) * (nominal.neuron.threshold / own)[:, None]
    assert np.allclose(drives(layer, network.states[0]), expected) and np.std(own) > 0.1


def test_nodes_that_a_circuit_lacks_are_named(tmp_path):
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "delay": nir.Delay(np.ones(4)),
        "output": nir.Output({"output": np.array([4])}),
    }
    nir.write(tmp_path / "x.nir", nir.NIRGraph(nodes, [("input", "delay"), ("delay", "output")]))
    with pytest.raises(ParameterError, match=r"delay \(Delay\)"):
        nir_weights(tmp_path / "x.nir")
