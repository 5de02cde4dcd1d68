"""A convolution as the first layer: against dense layers that read each patch, and against ngspice,
reading and learning.
"""

import dataclasses

import numpy as np
import pytest

from memristive.engines.engine import NgspiceNetwork
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.convolution import Convolution
from memristive.network.design import ENGINES, LayerDesign
from memristive.network.networks import Network, with_bias
from memristive.parameters import ParameterError
from tests.network.networks import FEW_RULE as RULE
from tests.network.networks import deviations

CONVOLUTION = Convolution(height=6, width=7, window=3, regions=2)
DESIGN = LayerDesign(hidden_bias=0.6, output_bias=1.3, window=400e-6)
IMAGES = np.where(np.random.default_rng(1).random((9, 42)) < 0.5, 0.0, 1.0)
IMAGES = IMAGES * np.random.default_rng(2).random((9, 42)).round(1)
LABELS = np.arange(9) % 3


def convolution(of=CONVOLUTION, **design):
    """An untrained network of three classes, with four kernels."""
    made = dataclasses.replace(DESIGN, **design)
    return initial_network((4,), 3, IMAGES, RULE, made, kinds=(of,))


def spread(network, volts, seed=0):
    """The network with states that differ by `volts` more."""
    rng = np.random.default_rng(seed)
    states = tuple(of + rng.normal(0, volts, of.shape) for of in network.states)
    return dataclasses.replace(network, states=states)


def read_patch_by_patch(network, image):
    """Pooled spikes of the first layer: the earliest spikes of a dense layer in each region."""
    of, kernels = network.kinds[0], network.layers[0].neurons
    rows = with_bias(image[None])[0]
    # a layer above, so that the patches are read by the form of hidden layers
    above = np.full((2, kernels + 1), network.design.reference_state)
    dense = dataclasses.replace(network, kinds=(), states=(network.states[0], above))
    times = dense.forward(rows[of.patches[:, 1:-1]])[0]
    regions = [times[of.patches[:, 0] == region] for region in range(of.regions**2)]
    return np.concatenate([np.where(np.isnan(found), np.inf, found).min(0) for found in regions])


@pytest.mark.parametrize("volts", [0.0, 3.0])  # the second: channels that pinch off, clipped sums
@pytest.mark.parametrize("changes", [{}, {"pairs": 2}, {"stage_swing": 30.0}])
@pytest.mark.parametrize(
    "of",
    [
        CONVOLUTION,
        Convolution(6, 7, 2, stride=2, regions=3),
        Convolution(6, 7, 3, regions=2, overlap=1),
    ],
)
def test_the_pooled_spike_of_each_kernel_in_each_region_is_kept(of, changes, volts):
    network = spread(convolution(of=of, **changes), volts)
    found = network.forward(IMAGES)[0]
    expected = np.array([read_patch_by_patch(network, image) for image in IMAGES])
    assert np.isfinite(expected).mean() > 0.2
    assert np.where(np.isnan(found), np.inf, found) == pytest.approx(expected, rel=1e-9)


def test_regions_divide_the_patches_and_rows_are_windows():
    patches = CONVOLUTION.patches
    assert len(patches) == 4 * 5 and (np.bincount(patches[:, 0]) == [6, 4, 6, 4]).all()
    image = np.arange(42).reshape(6, 7)
    assert (patches[7, 1:-1] == image[1:4, 2:5].ravel()).all() and (patches[:, -1] == 42).all()
    assert convolution().sizes == (42, 16, 3)
    # three of four places from top to bottom; four or three of five from left to right
    patches = dataclasses.replace(CONVOLUTION, overlap=1).patches
    assert (np.bincount(patches[:, 0]) == [12, 9, 12, 9]).all()
    assert sorted(patches[patches[:, 1] == image[1, 2], 0]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: Convolution(6, 7, window=7), "window"),
        (lambda: Network((np.ones((4, 10)),), kinds=(CONVOLUTION,)), "layer"),
        (lambda: Network((np.ones((4, 9)), np.ones((3, 17))), kinds=(CONVOLUTION,)), "rows"),
        (lambda: convolution().forward(np.ones((1, 9))), "images"),
    ],
)
def test_what_does_not_fit_is_named(call, word):
    with pytest.raises(ParameterError, match=word):
        call()


def test_a_written_kernel_moves_by_its_error_times_the_patch_that_won():
    """One image, one kernel and two classes: the change, worked out by hand."""
    of = Convolution(3, 4, window=2, regions=1)
    image = np.array([[0.0, 0.0, 0.2, 0.0], [0.0, 0.0, 0.8, 0.5], [0.0, 0.0, 0.0, 0.0]]).ravel()
    first = np.array([[5.0, 5.0, 6.5, 6.0, 5.0]])  # the kernel fires first on 0.8, 0.5 below
    start = Network(
        (first, np.array([[5.3, 5.0], [5.1, 5.0]])),
        design=LayerDesign(hidden_bias=0.9, output_bias=1.5, window=600e-6),
        kinds=(of,),
    )
    rule = LayeredRule(presentations=1, hidden_dose=0.1, output_dose=0.0, margin=1e-2, reach=1.0)
    trained = learn(start, rule, image[None], np.array([0])).network
    error = start.read_back(1, np.array([1.0, -1.0]))[0]
    expected = 0.1 * error * np.array([0.2, 0.0, 0.8, 0.5, 0.2])
    assert (trained.states[0] - first)[0] == pytest.approx(expected, abs=1e-4)
    assert error == pytest.approx(0.2, abs=5e-3)  # lift of the gates


@pytest.mark.parametrize("changes", [{}, {"pairs": 1}])
def test_both_engines_read_and_learn_the_same(ngspice, changes):
    network = spread(convolution(**changes), 0.3)
    reader = NgspiceNetwork(network)
    for image in IMAGES[:2]:
        found = reader.read(network, image, 3, label=0)[0]
        closed = [times[0] for times in network.forward(image[None])]
        assert max(deviations(found, closed)) < 0.3e-6
        assert all((np.isnan(a) == np.isnan(b)).all() for a, b in zip(found, closed, strict=True))
    computed, simulated = (
        learn(network, RULE, IMAGES, LABELS, engine=engine) for engine in reversed(ENGINES)
    )
    assert (simulated.history == computed.history).all() and simulated.history[:, 1].sum() >= 2
    for one, other in zip(simulated.network.states, computed.network.states, strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert np.abs(computed.network.states[0] - network.states[0]).max() > 0.01
