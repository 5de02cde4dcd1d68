"""A classifier as a JSON file: what is saved, and what a file must hold to become one again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memristive.classifier.feature_encoding import COMPLEMENT, ENCODINGS, FeatureEncoding
from memristive.io.files import FileProblem, atomic_write, check_writable
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.single_layer.engines import ENGINES
from memristive.variability.chip import Chip

FORMAT, VERSION = "in-situ memristive classifier", 1
LARGEST_STATE = 1e6  # V, beyond what any training reaches


def written(model: Any, path: Path, **more: int) -> Path:
    """Write the fitted MemristiveClassifier `model` as JSON, with `more` beside; returns the path.

    Raises ValueError for classes that a file cannot hold, and OSError.
    """
    parameters = model._trained_with  # what has been set since made nothing here
    parameters = {**parameters, "chip": parameters["chip"] and parameters["chip"].as_dict()}
    if not isinstance(parameters["random_state"], (int, np.integer, type(None))):
        parameters["random_state"] = None  # a generator has moved on since
    names = getattr(model, "feature_names_in_", None)
    content = {"format": FORMAT, "version": VERSION, "parameters": parameters, "trained_by": model.engine_,
               "presentations": model.n_presentations_, "seed": model._rule.seed, "margin": model._rule.margin,
               "classes": model.classes_, "features": model.n_features_in_, "feature_names": names, "low": model.encoding_.low,
               "span": model.encoding_.span, "voltages": list(model.network_.states), **more}
    write_text(path, json.dumps(content, indent=1, default=_plain) + "\n")
    return path


def loaded(kind: type, path: Path) -> Any:
    """The classifier, of the class `kind` (MemristiveClassifier or one made of it), in the file `path`.

    Raises OSError, and ValueError if it holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION) or content["version"] is True:
            raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
        return _restored(kind, content)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError) as error:
        raise ValueError(f"{path}: is no classifier file of version {VERSION} ({type(error).__name__}: {error})") from error


def _restored(kind: type, content: dict[str, Any]) -> Any:
    parameters = content["parameters"]
    hidden, chip = parameters["hidden"], parameters["chip"]
    model = kind(**{**parameters, "hidden": tuple(hidden) if isinstance(hidden, list) else hidden, "chip": chip and Chip(**chip)})
    for name, value, allowed in (("engine", model.engine, ENGINES), ("encoding", model.encoding, ENCODINGS),
                                 ("trained_by", content["trained_by"], ENGINES)):
        _check(value in allowed, name, value)
    _check(model.random_state is None or _whole(model.random_state), "random_state", model.random_state)
    low, span = np.array(content["low"], float), np.array(content["span"], float)
    _check(low.ndim == 1 and np.isfinite(low).all(), "low", content["low"])
    _check(content["features"] == len(low), "features", content["features"])
    _check(span.shape == low.shape and bool((span >= 0).all()), "span", content["span"])  # nan is not, infinity is a span
    model.encoding_ = FeatureEncoding(low, span, model.encoding == COMPLEMENT)
    model.classes_ = _classes(content["classes"])
    sizes = (model.encoding_.levels(low[None]).shape[1], *model._hidden_sizes(), len(model.classes_))
    network = LayeredNetwork(tuple(np.array(states, float) for states in content["voltages"]))
    if network.sizes != sizes or not all((np.abs(states) < LARGEST_STATE).all() for states in network.states):
        raise ValueError(f"voltages of layers {network.sizes}, expected finite ones of {sizes}")
    model.network_ = network if model.chip is None else dataclasses.replace(network, chip=layer_chips(model.chip, sizes))
    model.n_features_in_, model._trained_with = len(low), model.get_params()
    model._rule = model._rule_of(content["seed"], content["margin"], len(model.classes_))
    model._presentations(1), model._margin(1)  # refuse what makes no sense
    _check(_whole(model.verbose), "verbose", model.verbose)
    model.engine_, model.n_presentations_ = content["trained_by"], content["presentations"]
    _check(_whole(model.n_presentations_), "presentations", model.n_presentations_)
    names = content["feature_names"]
    if names is not None:
        _check(len(names) == len(low) == len(set(names)) and all(isinstance(name, str) for name in names), "feature_names", names)
        model.feature_names_in_ = np.array(names, dtype=object)
    return model


def _classes(values: Any) -> np.ndarray:
    classes = np.array(values)
    if classes.dtype.kind == "f" and all(isinstance(value, int) for value in values):
        classes = np.array(values, dtype=np.uint64)  # above what a signed integer holds
    fine = classes.ndim == 1 and classes.dtype.kind in "biufU" and len(classes) > 1
    _check(fine and np.array_equal(classes, np.unique(classes)), "classes", values)
    return classes


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check(fine: bool, name: str, value: Any) -> None:
    if not fine:
        raise ValueError(f"{name}: {str(value)[:60]}")


def _plain(value: Any) -> Any:
    """Arrays, ranges and NumPy's numbers as JSON has them; dates would become numbers in silence."""
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return list(value)
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind in "mMSV":
        raise ValueError(f"a classifier's file holds numbers, strings and truth values, not {value!r}")
    return value.tolist()


def write_text(path: Path, text: str) -> None:
    """Whole or not at all, as every file of the house. Raises OSError."""
    try:
        check_writable(path)
        atomic_write(path, text)
    except FileProblem as problem:
        cause = problem.__cause__
        raise OSError(getattr(cause, "errno", None), getattr(cause, "strerror", str(problem)), str(path)) from problem
