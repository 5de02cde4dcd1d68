"""Learning that goes on, batch by batch, as data come."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from learning.classifier import MemristiveClassifier


@pytest.mark.parametrize("names", [(0, 1, 2), (30, 10, 20), ("setosa", "versicolor", "virginica"), ("c", "a", "b")])
def test_a_batch_that_lacks_classes_teaches_those_that_it_has(names):
    """Whatever they are called: what is learned of samples of one class alone is that class."""
    features, labels = load_iris(return_X_y=True)
    labels = np.array(names)[labels]
    model = MemristiveClassifier(20, random_state=1).partial_fit(features, labels, classes=np.unique(labels))
    for name in names:
        batch = features[labels == name]
        for _ in range(10):
            model.partial_fit(batch, [name] * len(batch))
        assert (model.predict(batch) == name).mean() > 0.95
