"""Networks of memristors as a scikit-learn classifier: fit, predict, score, and what the circuit shows (docs/api.md).

Trained by its errors, online, with local writes only (docs/layers.md); everything runs in closed form or in ngspice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from memristive.classifier import model_files as classifier_files
from memristive.classifier.defaults import (
    EPOCHS,
    MANY,
    ONLINE,
    PRESENTATIONS,
    firing,
    hidden_share,
    rule_with,
    started,
    suited_dose,
    suited_margin,
)
from memristive.classifier.feature_encoding import COMPLEMENT, ENCODINGS, FeatureEncoding
from memristive.multilayer.clipping import StagesClip, complaint
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, begin, train
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.layer_sessions import read_in_ngspice, read_netlist, train_in_ngspice
from memristive.single_layer.engines import CLOSED_FORM, ENGINES, NGSPICE
from memristive.variability.chip import Chip


class MemristiveClassifier(ClassifierMixin, BaseEstimator):
    """A spiking network of memristors that learns in situ and decides by its first spike.

    `hidden`: sizes of the hidden layers, a number or numbers; () for a single layer. Behind four of them spikes come too late
    in a read for learning to be reliable. `engine`: "closed-form", or "ngspice", where every read, back-read and write is a
    transient (some 0.1 s each, seconds of a thousand rows). `epochs`: presentations of each sample by `fit`; None: 40, or as many
    as make 3,000 in all; for few features with a curved border ten times as many and a dose of 0.03 V (make_moons: 97 for 88 %).
    `dose`: V, first change of X of an output cell per time constant of overlap, half of the first change of a hidden cell per
    volt read back; it falls to 0; None: 2.4 V over the number of features (of more than ten classes, ten over their number of
    that), 0.1 V at most (of more than five, five over their number of that; 0.03 V for several hidden layers), of which `fit`
    gives the cells of a single hidden layer of fewer than 50 neurons, and fewer than five a class, less in proportion.
    `margin`: s, by which the right neuron has to lead; None: 4 us, the more the fewer samples `fit` has below 1,500, 12 us at
    most. `chip`: a `memristive.variability.chip.Chip` of any shape with a cell_gain, cell_write_gain or neuron_threshold, such as the
    PRESETS["ten-percent"] there; layers know no other deviations. `encoding`: "complement" adds 1 - v for each feature v; those
    with long tails want a QuantileTransformer in front. `random_state`: of the start and of the order of presentation.
    `verbose`: 1 shows a progress bar on a terminal.

    After fitting: `classes_`, `n_features_in_`, `feature_names_in_` (of a DataFrame), `voltages_` (V, neurons x rows a layer, the
    bias row last), `network_`, `encoding_`, `n_presentations_`, `engine_`. Parameters without sense raise ValueError from `fit`.
    """

    network_: LayeredNetwork
    _rule: LayeredRule
    _trained_with: dict[str, Any]
    _warned = False  # that this network's stages clip

    def __init__(self, hidden: int | Sequence[int] = (100,), *, engine: str = CLOSED_FORM, epochs: int | None = None,
                 dose: float | None = None, margin: float | None = None, chip: Chip | None = None, encoding: str = COMPLEMENT,
                 random_state: int | np.random.RandomState | None = None, verbose: int = 0) -> None:
        self.hidden = hidden
        self.engine = engine
        self.epochs = epochs
        self.dose = dose
        self.margin = margin
        self.chip = chip
        self.encoding = encoding
        self.random_state = random_state
        self.verbose = verbose

    # Learning

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train a new network on `X` (samples x features) with labels `y` (samples): each sample `epochs` times.

        Raises ValueError for what cannot be trained on; with ngspice also SimulationError and NgspiceMissing. Warns (StagesClip)
        if cells have run away, or have grown so that stages clip, which the closed form does not know of.
        """
        with self._as_before_if_refused():
            features, targets = self._training_data(X, y, reset=True)
            presentations = self._presentations(len(features))
            self._begin(features, np.unique(targets), len(features))
            share = 1.0 if self.dose is not None else hidden_share(len(self.classes_), self._hidden_sizes())
            self._learn(dataclasses.replace(self._rule, presentations=presentations,
                                            hidden_dose=share * self._rule.hidden_dose), features, targets)
        self._warn_of_range(features)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:  # noqa: N803
        """Present each sample once, in order of a permutation, at a fifth of the dose: learning goes on where it stopped.

        Within a call the dose falls linearly to nothing, as in `fit`: many small calls write up to twice as much as a large one.
        The first call needs all `classes`; its samples set the encoding's range and the start. `dose`, `margin` and `engine` may
        be set to something else between calls, what has made the network may not. Small networks of several layers learn slowly,
        the faster with a larger `dose`. Raises and warns as `fit`.
        """
        with self._as_before_if_refused():
            first = not hasattr(self, "network_")
            if not first:
                self._go_on()
            features, targets = self._training_data(X, y, reset=first)
            if first and classes is None:
                raise ValueError("the first call of partial_fit needs classes, all the labels there will ever be")
            known = self.classes_ if classes is None else np.unique(np.asarray(classes))
            if not first and not np.array_equal(known, self.classes_):
                raise ValueError(f"classes are not those of the first call of partial_fit: {known}")
            unknown = np.setdiff1d(targets, known)
            if len(unknown):
                raise ValueError(f"y has labels that are not among the classes: {unknown}")
            if first:
                self._begin(features, known, MANY)
            rule = dataclasses.replace(self._rule, presentations=len(features), hidden_dose=ONLINE * self._rule.hidden_dose,
                                       output_dose=ONLINE * self._rule.output_dose,
                                       seed=(self._rule.seed + self.n_presentations_) % 2**32)
            self._learn(rule, features, targets)
        self._warn_of_range(features)
        return self

    def _go_on(self) -> None:
        """Heed what has been set since the network was begun, or refuse it."""
        then = self._trained_with
        changed = {"hidden": self._hidden_sizes() != self.network_.sizes[1:-1],
                   **{name: getattr(self, name) != then[name] for name in ("encoding", "chip", "random_state")}}
        for name in filter(changed.get, changed):
            raise ValueError(f"{name} was {then[name]!r} when the network was begun and is {getattr(self, name)!r} now: "
                             "fit begins a new one, partial_fit goes on with this one")
        margin = self._rule.margin if self.margin == then["margin"] else self._margin(MANY)
        self._rule = self._rule_of(self._rule.seed, margin, len(self.classes_))

    @contextlib.contextmanager
    def _as_before_if_refused(self) -> Iterator[None]:
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _training_data(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
        features, targets = validate_data(self, X, y, reset=reset, dtype=np.float64)
        check_classification_targets(targets)
        return features, targets

    def _begin(self, features: np.ndarray, classes: np.ndarray, samples: int) -> None:
        """A new network, untrained, of what the parameters say; there will be so many `samples`."""
        if len(classes) < 2:
            raise ValueError(f"a classifier needs two classes or more to tell apart; the data have one class: {classes[0]}")
        _choice("engine", self.engine, ENGINES)
        _choice("encoding", self.encoding, ENCODINGS)
        if not isinstance(self.chip, Chip | None):
            raise ValueError(f"chip must be None or a memristive.variability.chip.Chip, as PRESETS['ten-percent'] there, got {self.chip!r}")
        hidden = self._hidden_sizes()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._rule = self._rule_of(seed, self._margin(samples), len(classes))
        self.encoding_ = FeatureEncoding.of(features, self.encoding == COMPLEMENT)
        levels = self.encoding_.levels(features)
        network = begin(hidden, len(classes), levels, started(self._rule, levels, hidden) if hidden else self._rule)
        if len(hidden) > 1:
            network = firing(network, levels, self._rule.seed)
        if self.chip is not None:
            network = dataclasses.replace(network, chip=layer_chips(self.chip, network.sizes))
        self.classes_, self.network_, self.n_presentations_, self._warned = classes, network, 0, False

    def _rule_of(self, seed: int, margin: float, classes: int) -> LayeredRule:
        if self.dose is None:
            dose = suited_dose(self.n_features_in_, classes, self._hidden_sizes())
        else:
            dose = _number("dose", self.dose, 5.0, "V")
            if not dose:
                raise ValueError("dose is 0: nothing would be learned; None gives one that suits features and classes")
        return rule_with(dose, margin, seed, self._hidden_sizes())

    def _margin(self, samples: int) -> float:
        return suited_margin(samples) if self.margin is None else _number("margin", self.margin, 1e-2, "s")

    def _learn(self, rule: LayeredRule, features: np.ndarray, targets: np.ndarray) -> None:
        _choice("engine", self.engine, ENGINES)
        images, labels = self.encoding_.levels(features), np.searchsorted(self.classes_, targets)
        learning = LayeredLearning.begin(self.network_, rule)
        run = train_in_ngspice if self.engine == NGSPICE else train
        with tqdm(total=rule.presentations, desc="training", unit="sample", disable=None if self.verbose else True) as bar:
            for done, accuracy in run(learning, rule, images, labels):
                bar.update(done - bar.n)
                bar.set_postfix_str(f"right {accuracy:.1%}", refresh=False)
        self.network_, self.engine_, self._trained_with = learning.network, self.engine, self.get_params()
        self.n_presentations_ += learning.done

    def _warn_of_range(self, features: np.ndarray) -> None:
        """Warn, once a network (learning online would have to say it again and again), if stages clip on `features`."""
        said = "" if self._warned else complaint(self.network_, self.encoding_.levels(features),
                                                 *[f"dose (it is {self._rule.output_dose:.3g} V)"] * 2)
        if said:
            self._warned = True
            warnings.warn(said, StagesClip, stacklevel=3)

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = tuple(self.hidden) if isinstance(self.hidden, Sequence | np.ndarray) else (self.hidden,)
        if not all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in sizes):
            raise ValueError(f"hidden must be () or sizes of layers, whole numbers above 0, got {self.hidden!r}")
        return tuple(int(size) for size in sizes)

    def _presentations(self, samples: int) -> int:
        if self.epochs is None:
            return samples * max(EPOCHS, -(-PRESENTATIONS // samples))
        if not isinstance(self.epochs, (int, np.integer)) or isinstance(self.epochs, bool) or self.epochs < 1:
            raise ValueError(f"epochs must be None or a whole number above 0, got {self.epochs!r}")
        return samples * int(self.epochs)

    # Deciding

    @property
    def voltages_(self) -> list[np.ndarray]:
        """States in V of each layer's cells: neurons x rows, the bias row last."""
        self._check_fitted()
        return list(self.network_.states)

    def spike_times(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """First spikes of the output neurons (samples x classes) in s after the input rises; nan for those that stay silent.

        ngspice ends a read with the second spike: later ones are nan there.
        """
        features = self._features(X)
        _choice("engine", self.engine, ENGINES)
        images = self.encoding_.levels(features)
        if self.engine != NGSPICE:
            return self.network_.first_spikes(images)
        reads = tqdm(read_in_ngspice(self.network_, images), total=len(images), desc="reading", unit="sample",
                     disable=None if self.verbose else True)
        return np.array(list(reads))

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """How much earlier in s each neuron fires than the first of the others (samples x classes; negative: later).

        Of two classes: how much earlier the second fires than the first (samples). A silent neuron counts as firing when the read
        ends, and so do in ngspice all those behind the second. Leads are some 1e-5: scale them for a model that takes them as
        features.
        """
        times = self.spike_times(X)
        times = np.where(np.isnan(times), self.network_.design.window, times)
        if times.shape[1] == 2:
            return times[:, 0] - times[:, 1]
        order = np.argsort(times, axis=1, kind="stable")
        rows = np.arange(len(times))
        others = np.tile(times[rows, order[:, 0]][:, None], times.shape[1])
        others[rows, order[:, 0]] = times[rows, order[:, 1]]
        return others - times

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The class whose neuron fires first (samples); of neurons that fire together, and if none does, the first class.

        `spike_times` tells which samples those are: a strict count takes them as undecided.
        """
        leads = self.decision_function(X)
        return self.classes_[(leads > 0).astype(int) if leads.ndim == 1 else np.argmax(leads, axis=1)]

    def clipped(self, X: ArrayLike) -> float:  # noqa: N803
        """Share of the features of `X` (samples x features) outside the training data's range, which are read as its ends."""
        features = self._features(X)
        return self.encoding_.clipped(features)

    def _features(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        self._check_fitted()
        if self.chip != self._trained_with["chip"]:
            raise ValueError("chip was set after the training, and the network is on the one that it was trained on: fit trains "
                             "a new one; dataclasses.replace(model.network_, chip=memristive.multilayer.layer_chips.layer_chips(chip, "
                             "model.network_.sizes)) carries its voltages over")
        return validate_data(self, X, reset=False, dtype=np.float64)

    def _check_fitted(self) -> None:
        check_is_fitted(self, "network_")

    # Files

    def export_netlist(self, path: str | Path, x: ArrayLike) -> Path:
        """Write the netlist of the whole network reading one sample `x` (features, or a DataFrame of one row), for `ngspice -b`.

        Returns the path; what is there is overwritten. The netlist prints the outputs: the first to reach half its height is the
        decision. Its steps are 0.1 us, and triggers switch at their ends: spikes come up to 0.5 us late, and a lead of less than
        0.1 us a layer, which `predict` sees, may be lost. Raises ValueError, and OSError.
        """
        if hasattr(x, "to_frame"):  # a row of a DataFrame, whose names count as in `predict`
            x = x.to_frame().T
        features = self._features(x if hasattr(x, "columns") else np.atleast_2d(np.asarray(x, dtype=np.float64)))
        if len(features) != 1:
            raise ValueError(f"x must be one sample, got {len(features)}")
        classifier_files.write_text(Path(path), read_netlist(self.network_, self.encoding_.levels(features)[0]))
        return Path(path)

    def save(self, path: str | Path) -> Path:
        """Write the parameters, the encoding and all voltages as JSON, whole or not at all, over what is there; returns the path.

        The parameters are those that the network was trained with: what was set since is not in the file.
        Classes must be numbers, strings or truth values, or ValueError is raised. Raises OSError.
        """
        self._check_fitted()
        return classifier_files.written(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The classifier that `save` wrote. Raises OSError, and ValueError if `path` holds something else."""
        return classifier_files.loaded(cls, Path(path))


def _choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")


def _number(name: str, value: Any, highest: float, unit: str) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool) or not 0 <= value <= highest:
        raise ValueError(f"{name} must be None or 0 to {highest:g} {unit}, got {value!r}")
    return float(value)
