"""Recipes: one network through each door, and one line for what cannot be built."""

import json

import numpy as np
import pytest

from memristive import Chip, Conv, Dense, MemristiveClassifier, Recipe, build, learn, load, save
from memristive.files import restored
from memristive.parameters import ParameterError

RNG = np.random.default_rng(1)
IMAGES, LABELS = RNG.random((40, 16)), np.arange(40) % 3
RECIPES = [
    Recipe(None, seed=3),
    Recipe((), "li-1t1r"),
    Recipe([5, 4], "epiram", "late", pairs=2, chip=Chip(cell_gain=0.05)),
    Recipe([Conv(4, window=3), Dense(5)], "pcmo", changes={"rule.presentations": 50}),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.layers))
def test_a_networks_file_holds_the_recipe_that_makes_it_again(recipe, tmp_path):
    network, rule = build(recipe, IMAGES, LABELS)
    save(tmp_path / "n.json", network, rule)
    found = load(tmp_path / "n.json").recipe
    assert found == network.recipe
    again, _ = build(found, IMAGES, 3)
    assert all(map(np.array_equal, again.states, network.states))
    assert restored(Recipe, json.loads(json.dumps(recipe.as_dict()))) == recipe


@pytest.mark.parametrize("options", [{}, {"device": "epiram"}, {"device": "pcmo", "late": True}])
def test_verbs_and_the_estimator_make_the_same_network(options):
    model = MemristiveClassifier((6,), random_state=1, **options).fit(IMAGES, LABELS)
    recipe = model.network_.recipe
    levels = model.encoding_.levels(IMAGES)
    network, rule = build(levels, 3, (6,), seed=recipe.seed, **options)
    trained = learn(network, rule, levels, LABELS).network
    assert all(map(np.array_equal, trained.states, model.network_.states))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("layers", lambda: Recipe([Dense(5), Conv()])),
        ("neurons", lambda: Recipe([0])),
        ("write", lambda: Recipe(5, write="late")),
        ("write", lambda: Recipe(5, "epiram", "slowly")),
        ("late", lambda: Recipe(5, "li-1t1r", "late")),
        ("rul.margin", lambda: Recipe(changes={"rul.margin": 1e-6})),
        ("window", lambda: Recipe([Conv(window=9)])),
        ("give a device", lambda: Recipe(5, changes={"device.write_noise": 0.01})),
    ],
)
def test_what_cannot_be_built_is_named(name, made):
    with pytest.raises(ParameterError, match=name):
        build(made(), IMAGES, LABELS)
