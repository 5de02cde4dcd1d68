"""Images, labels and numbers of users: what converts gives the same network, what does not is one
line.
"""

import numpy as np
import pandas as pd
import pytest

from memristive import (
    Chip,
    Setup,
    build,
    learn,
    read,
)
from memristive.parameters import ParameterError
from memristive.scores.checks import fit_feedback_resistor

IMAGES, LABELS = np.random.default_rng(1).integers(0, 2, (12, 9)) * 1.0, np.arange(12) % 3
IMAGES[0] = 1.0
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
NETWORK, _ = build(IMAGES, 3, hidden=4, presentations=30)


def states(images=IMAGES, labels=LABELS, classes=3, **options):
    network, rule = build(images, classes, **{"hidden": 4, "presentations": 30} | options)
    return learn(network, rule, images, labels).network.states


def spikes(images=IMAGES, **options):
    return read(NETWORK, images, **options)


def changed(value):
    images = IMAGES.copy()
    images[2, 3] = value
    return images


@pytest.mark.parametrize(
    "images", [IMAGES.tolist(), pd.DataFrame(IMAGES), IMAGES.astype(bool), IMAGES.astype(str)]
)
def test_images_that_convert_are_learned_and_read_like_the_array(images):
    for one, other in zip(states(images), states(), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(spikes(images), spikes(), equal_nan=True)


@pytest.mark.parametrize(
    "options",
    [
        {"labels": LABELS.tolist()},
        {"labels": LABELS.astype(str)},
        {"labels": LABELS[:, None].astype(np.uint8)},
        {"classes": 3.0, "hidden": np.int64(4)},
        {"images": IMAGES.reshape(12, 3, 3)},
        {"hidden": np.array([4.0]), "presentations": 3e1, "pairs": np.float64(1)},
    ],
)
def test_labels_and_numbers_that_convert_give_the_same_network(options):
    for one, other in zip(states(**options), states(), strict=True):
        assert np.array_equal(one, other)


def test_epochs_are_presentations_of_each_image():
    rules = [build(IMAGES, 3, **given)[1] for given in ({"epochs": 5}, {"presentations": 60})]
    assert rules[0] == rules[1]


@pytest.mark.parametrize(
    ("call", "options", "word"),
    [
        (states, {"images": changed(np.nan)}, "images.*row 2, column 3"),
        (spikes, {"images": changed(1.0001)}, "images.*scale"),
        (spikes, {"images": IMAGES[0]}, r"images.*reshape\(images, \(1, -1\)\)"),
        (spikes, {"images": pd.DataFrame(IMAGES).assign(name=NAMES)}, "images.*setosa"),
        (spikes, {"images": IMAGES[:, :8]}, "images.*n x 9"),
        (states, {"labels": NAMES}, r"labels.*'setosa'.*return_inverse=True\)\[1\]"),
        (states, {"labels": LABELS[1:]}, "labels.*12"),
        (states, {"labels": LABELS * 0}, "labels.*two classes"),
        (states, {"epochs": 2}, "epochs or presentations"),
        (states, {"presentatons": 5}, r"presentatons.*did you mean presentations\?"),
        (states, {"hidden": None, "output_dose": 0.1}, "output_dose.* start_state"),
        (states, {"device": "epyram"}, r"device.*did you mean epiram\?"),
        (states, {"device": "pcmo", "chip": Chip(read_noise=0.1)}, "read_noise"),
        (states, {"late": True}, "device"),
        (fit_feedback_resistor, {"setup": Setup(), "patterns": [[1, 2]]}, "patterns"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_its_name(call, options, word):
    with pytest.raises(ParameterError, match=word) as caught:
        call(**options)
    assert "\n" not in str(caught.value)
