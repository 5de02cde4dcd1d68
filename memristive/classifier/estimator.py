"""Networks of memristors as a scikit-learn classifier.

They learn from their errors online, by local writes (docs/layers.md), in closed form or ngspice.
"""

import copy
import dataclasses
import functools
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from memristive.accounting.overview import Costs, costs
from memristive.classifier.feature_encoding import COMPLEMENT, ENCODINGS, FeatureEncoding
from memristive.classifier.stored import VERSION, StoredClassifier
from memristive.devices.measured_device import MeasuredDevice, model_of
from memristive.engines.engine import ModelCells, NgspiceNetwork, check_engine, read
from memristive.engines.read_netlist import netlist
from memristive.files import read_json, restored
from memristive.io.networks import network_content
from memristive.io.records import as_read, write_file, write_json
from memristive.io.voltages import CLASSIFIER
from memristive.io.voltages import FORMAT as NETWORK
from memristive.learning.build import Convolutions, build, layers_of
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip, chosen_chip
from memristive.network.design import CLOSED_FORM, NGSPICE
from memristive.network.networks import Network, network_on_chip
from memristive.network.recipe import AT_ONCE, LATE, Recipe
from memristive.parameters import Fields, ParameterError, Values, as_whole, check_kind
from memristive.progress import progress
from memristive.scores.checks import warn_of_layers
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

# parameters of a network, which only `fit` can change
FIXED = (
    *("hidden", "encoding", "device", "pairs", "late", "convolution"),
    *("memristor", "neuron", "chip"),
)
LARGEST_DOSE, MOST_EPOCHS = 5.0, 10**6  # V; most presentations of each sample
HIDDEN_LAYERS = (100,)  # default sizes without a device
ONLINE = 0.2  # dose factor of `partial_fit`: the number of later calls is unknown


# measures a SPICE model once in a process
_model_cells = functools.lru_cache(maxsize=4)(ModelCells)


class MemristiveClassifier(ClassifierMixin, BaseEstimator):
    """Spiking network of memristors that learns in situ and decides by the first output spike.

    Each feature drives a row of the first crossbar, each class has an output neuron. A sample is
    presented. If the right neuron does not lead by the margin, cells of the right class are
    potentiated and the columns of the first wrong class depressed.

    Parameters
    ----------
    hidden : int or sequence of int, default=None
        Neurons of each hidden layer; () for a single layer. None: (100,) without a `device`, ()
        with one. From four hidden layers of emulators on, layers start in equal parts of the window
        (docs/layers.md).
    engine : {"closed-form", "ngspice"}, default="closed-form"
        Engine that learns and reads. In ngspice every read or write takes some 0.1 s, and seconds
        for a thousand rows. If the device file names a SPICE model, ngspice simulates its
        subcircuit in each cell.
    epochs : int, default=None
        Presentations of each sample in `fit`. None: 40, or more until there are 3,000
        presentations. A curved border in few features needs ten times as many, with a dose of 0.03
        V.
    dose : float, default=None
        Change of the state X in V by the first write to an output cell whose row is high for one
        time constant of the membrane. Doses of hidden cells grow in proportion. The dose falls over
        a call. None: the dose that suits device and samples.
    margin : float, default=None
        Time in s by which the right neuron has to lead, or cells are written. None: the margin that
        suits the network.
    memristor : MemristorParameters, default=None
        Device. None: the default parameters.
    device : str, default=None
        Measured device instead of `memristor`: name of a preset ("epiram") or path of a device
        file, see docs/devices.md. Cells are written by whole pulses with the cycle-to-cycle noise
        of the device. None: `memristor`.
    pairs : int, default=None
        Number of differential pairs of each synapse. 0: single cells and a reference column. None:
        1 with a `device`, 0 without.
    late : bool, default=False
        With a `device`: each synapse adds up doses on a poor capacitor, the paper's emulator, until
        whole pulses are due (docs/writes_late.md).
    convolution : Convolution or dict, or a sequence of them, default=None
        The samples are images, and the first layer reads them window by window, each further
        convolution the layer below (docs/convolution.md). A dict has some of the fields of a
        `Convolution`, such as window and regions; the others follow from the images. `hidden`
        starts with the number of kernels of each. All pixels then share one scale, and there are no
        complements. None: a dense network.
    neuron : NeuronParameters, default=None
        Neuron. None: the default parameters. Each layer sets the feedback resistance and the
        membrane transconductance itself.
    chip : str or Chip, default=None
        Imperfect chip: name of a preset ("ten-percent"), path of a chip file, or a
        `memristive.Chip` of any shape, without noise, decay and wires (docs/chips.md). "device":
        each cell is drawn from the measured spreads of the `device`, with `random_state` as the
        seed. None: all devices alike.
    encoding : {"complement", "plain"}, default="complement"
        "complement" adds a row 1 - v for each scaled feature v. Transform features with long tails
        before, for example by a QuantileTransformer.
    random_state : int, RandomState or None, default=None
        Seed of the initial states and of the order of presentation.
    verbose : int, default=0
        1 shows a progress bar on a terminal.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.
    voltages_ : list of arrays of shape (n_neurons, n_rows)
        States X of the cells of each layer in V; the last row is the bias.
    network_ : Network
        Trained network.
    encoding_ : FeatureEncoding
        Scaling of features to input levels.
    margin_ : float
        Margin in s that suits the training data; the training uses it if `margin` is None.
    n_presentations_ : int
        Presentations so far.
    engine_ : str
        Engine of the last training.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from memristive.classifier import MemristiveClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MemristiveClassifier(random_state=1).fit(X[::2], y[::2])
    >>> bool(model.score(X[1::2], y[1::2]) > 0.9)
    True
    """

    network_: Network

    def __init__(
        self,
        hidden: int | Sequence[int] | None = None,
        *,
        engine: str = CLOSED_FORM,
        epochs: int | None = None,
        dose: float | None = None,
        margin: float | None = None,
        memristor: MemristorParameters | None = None,
        device: str | None = None,
        pairs: int | None = None,
        late: bool = False,
        convolution: Convolutions | None = None,
        neuron: NeuronParameters | None = None,
        chip: str | Chip | None = None,
        encoding: str = COMPLEMENT,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.engine = engine
        self.epochs = epochs
        self.dose = dose
        self.margin = margin
        self.memristor = memristor
        self.device = device
        self.pairs = pairs
        self.late = late
        self.convolution = convolution
        self.neuron = neuron
        self.chip = chip
        self.encoding = encoding
        self.random_state = random_state
        self.verbose = verbose

    # Learning

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train a new network.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            With a `convolution` also (n_samples, height, width), here and in all methods.
        y : array of shape (n_samples,)
            Class labels.

        Returns
        -------
        MemristiveClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            A parameter or the data are invalid.
        SimulationError, NgspiceMissing
            ngspice fails or is missing.

        Warns
        -----
        OperatingRangeWarning
            Cells have grown so much that stages clip, which the closed form does not model, or most
            hidden neurons are silent.
        """
        features, targets = self._training_data(X, y, reset=True)
        self._start(features, np.unique(targets))
        self._learn(self._rule_now(), features, targets)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:  # noqa: N803
        """Present each sample once, in random order, at a fifth of the dose.

        Within a call the dose falls linearly to 0. Therefore many small calls write up to twice as
        much as one large call. `dose`, `margin` and `engine` may change between calls.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            The first call's samples set the scaling of the features and the initial states.
        y : array of shape (n_samples,)
            Class labels.
        classes : array of shape (n_classes,), default=None
            All class labels; required in the first call.

        Returns
        -------
        MemristiveClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            Classes are missing or differ from the classes of the first call, or a parameter or the
            data are invalid.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        known = np.unique(np.asarray(classes)) if classes is not None else self.classes_
        if not first:
            self._check_unchanged()
            if not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes must be as in the first call, {self.classes_}, got {known}"
                )
        features, targets = self._training_data(X, y, reset=first)
        unknown = np.setdiff1d(targets, known)
        if len(unknown):
            raise ValueError(f"y has labels that are not among the classes: {unknown}")
        if first:
            self._start(features, known)
        rule = self._rule_now()
        self._learn(
            dataclasses.replace(
                rule,
                presentations=len(features),
                hidden_dose=ONLINE * rule.hidden_dose,
                output_dose=ONLINE * rule.output_dose,
                seed=(rule.seed + self.n_presentations_) % 2**32,
            ),
            features,
            targets,
        )
        return self

    def carried_to(self, chip: str | Chip | None) -> Self:
        """Return a copy whose weights are carried to another chip without learning there (ex situ).

        The cells of the other chip get the same states X as here, except stuck cells. This
        classifier does not change. The copy can then learn on the other chip with `partial_fit`.

        Parameters
        ----------
        chip : str, Chip or None
            As the parameter `chip` of the class. None: all devices alike.

        Returns
        -------
        MemristiveClassifier
            Fitted, with this `chip`.

        Raises
        ------
        ValueError
            The chip is invalid or has deviations that networks do not support.
        NotFittedError
            This classifier has learned nothing yet.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from memristive import Chip, MemristiveClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MemristiveClassifier(random_state=1).fit(X, y)
        >>> chip = Chip(seed=3, cell_gain=0.1, cell_write_gain=0.1)
        >>> bool(model.carried_to(chip).score(X, y) < model.score(X, y))
        True
        """
        check_is_fitted(self, "network_")
        self._check_unchanged()
        model = copy.deepcopy(self).set_params(chip=chip)
        own = chosen_chip(chip, self._device, seed=self._seed)
        model._set_network(network_on_chip(self.network_, own))
        return model

    def _training_data(
        self, samples: ArrayLike, y: ArrayLike, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        flat = self._flat(samples, reset)
        features, targets = validate_data(self, flat, y, reset=reset, dtype=np.float64)
        check_classification_targets(targets)
        check_engine(self.engine)
        return features, targets

    def _flat(self, samples: ArrayLike, reset: bool = False) -> ArrayLike:
        """Return images (n x height x width) as rows of pixels, and other samples as they are."""
        if self.convolution is None:
            return samples
        shape = np.shape(samples)
        if reset:
            self._image_shape = shape
        elif len(shape) == 3 and shape[1:] != self.network_.image_shape:
            raise ValueError(
                f"X must be images of the size in fit, {self.network_.image_shape}, got shape "
                f"{shape}"
            )
        return np.reshape(np.asarray(samples), (shape[0], -1)) if len(shape) == 3 else samples

    def _start(self, features: np.ndarray, classes: np.ndarray) -> None:
        """Check the parameters, and make an untrained network and its rule."""
        if len(classes) < 2:
            raise ValueError(f"y must have two classes or more, got one class: {classes[0]}")
        if self.encoding not in ENCODINGS:
            raise ParameterError(
                f"encoding must be one of {', '.join(ENCODINGS)}, got {self.encoding!r}"
            )
        self.classes_, self.n_presentations_ = classes, 0
        kinds = {"memristor": (MemristorParameters,), "neuron": (NeuronParameters,)}
        for name, allowed in (kinds | {"device": (str, Path)}).items():
            if getattr(self, name) is not None:
                check_kind(name, getattr(self, name), *allowed)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        self._seed = int(seed)
        self.encoding_ = self._encoding_of(features)
        levels = self.encoding_.levels(features)
        if self.convolution is not None and len(self._image_shape) == 3:
            levels = levels.reshape(self._image_shape)
        network, rule = build(self._recipe(len(features)), levels, len(classes))
        assert isinstance(rule, LayeredRule)
        self._suited = rule
        self._set_network(network)

    def _recipe(self, samples: int) -> Recipe:
        """Return the recipe of the network for a training on a number of `samples`."""
        given = [name for name in ("memristor", "neuron") if getattr(self, name) is not None]
        if self.device and "memristor" in given:
            raise ParameterError("give device or memristor, not both")
        if self.late and self.device is None:
            raise ParameterError("late is for measured devices: give a device")
        hidden = self.hidden
        if hidden is None and self.convolution is None:
            hidden = HIDDEN_LAYERS if self.device is None else ()
        changes: Fields = {
            f"{name}.{field}": value
            for name in given
            for field, value in vars(getattr(self, name)).items()
        }
        if self.epochs is not None:
            epochs = as_whole("epochs", self.epochs, 1, MOST_EPOCHS)
            changes["rule.presentations"] = epochs * samples
        return Recipe(
            layers_of(hidden, self.convolution, self.device or ()),
            self.device,
            LATE if self.late else AT_ONCE,
            self.pairs,
            self.chip,
            self._seed,
            changes,
        )

    def _rule_now(self) -> LayeredRule:
        """Return the rule that suits the network, with the `dose` and the `margin` if they are
        given.
        """
        rule = self._suited
        if self.dose is not None:
            check_dose(self.dose)
            hidden_dose = self.dose / rule.output_dose * rule.hidden_dose
            rule = dataclasses.replace(rule, output_dose=self.dose, hidden_dose=hidden_dose)
        return rule if self.margin is None else dataclasses.replace(rule, margin=self.margin)

    def _encoding_of(self, features: np.ndarray) -> FeatureEncoding:
        if self.convolution is None:
            return FeatureEncoding.of(features, self.encoding == COMPLEMENT)
        alike = (
            np.full(features.shape[1], features.min()),
            np.full(features.shape[1], np.ptp(features)),
        )
        return FeatureEncoding(*alike, complement=False)

    def _set_network(self, network: Network) -> None:
        """Store the network, and the parameters that it was made with."""
        self.network_, self._fixed = network, {name: getattr(self, name) for name in FIXED}

    def _learn(self, rule: LayeredRule, features: np.ndarray, targets: np.ndarray) -> None:
        levels, labels = self.encoding_.levels(features), np.searchsorted(self.classes_, targets)
        learning, cells = (
            Learning.start(self.network_, rule),
            self._cells() if self.engine == NGSPICE else None,
        )
        engine = NgspiceNetwork(self.network_, cells=cells) if cells else self.engine
        with self._bar("training", rule.presentations)([]) as bar:
            for done, accuracy in train(learning, rule, levels, labels, engine=engine):
                bar.update(done - bar.n)
                bar.set_postfix_str(f"right {accuracy:.1%}", refresh=False)
        self.network_, self.engine_ = learning.network, self.engine
        self.n_presentations_ += learning.done
        dose = f"dose ({self._rule_now().output_dose:.3g} V)"
        warn_of_layers(self.network_, levels, hidden_dose=dose, output_dose=dose, labels=labels)

    def _bar(self, what: str, total: int) -> Any:
        """Return what wraps steps with a progress bar on a terminal if `verbose`."""
        return lambda steps: progress(steps, total, what, "sample", bool(self.verbose))

    def _cells(self) -> ModelCells | None:
        """Return the cells of the device's SPICE model in ngspice; None without a model."""
        if not self._device or not self._device.model:
            return None
        if self.network_.devices is not None:
            raise ParameterError(
                "a SPICE model in ngspice cannot have a chip's deviations: set chip to None"
            )
        return _model_cells(model_of(self._device))

    @property
    def _device(self) -> MeasuredDevice | None:
        """Measured device in every cell."""
        recipe = self.network_.recipe
        return recipe.device if recipe else None

    @property
    def margin_(self) -> float:
        """Margin in s that suits the training data."""
        check_is_fitted(self, "network_")
        return self._suited.margin

    # Deciding

    @property
    def voltages_(self) -> list[np.ndarray]:
        """States X of each layer's cells in V: neurons x rows, the bias row last."""
        check_is_fitted(self, "network_")
        return list(self.network_.states)

    def spike_times(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Return the first spikes of the output neurons.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
            Times in s after the input rises; nan for silent neurons. In ngspice a read ends with
            the second spike: later ones are nan.
        """
        features = self._features(X)
        check_engine(self.engine)
        levels = self.encoding_.levels(features)
        cells = self._cells() if self.engine == NGSPICE else None
        if cells:  # all samples at once
            return cells.read_images(self.network_, levels)[0][-1]
        return read(self.network_, levels, self.engine, watch=self._bar("reading", len(levels)))

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Return the leads of the output neurons.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes), or (n_samples,) for two classes
            Time in s by which each neuron fires before the first of the others, negative if it
            fires later. With two classes, this is the lead of the second. A silent neuron counts as
            firing at the end of the read. Leads are of the order of 1e-5 s.
        """
        times = self._firing(X)
        if times.shape[1] == 2:
            return times[:, 0] - times[:, 1]
        first, second = np.sort(times, axis=1)[:, :2].T[:, :, None]
        return np.where(times == first, second, first) - times

    def predict_proba(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Return probabilities of the classes: a softmax of the spike times over half of `margin_`.

        A lead of one margin, for which the network is trained, is odds of e^2 = 7.4 to 1. A silent
        neuron counts as firing at the end of the read, so a sample for which none fires has equal
        probabilities. Half of the margin was close to the best scale on held-out samples of four
        data sets (digits, iris, wine, breast cancer). The circuit itself gives no probabilities: if
        they matter, calibrate by scikit-learn's ``CalibratedClassifierCV``.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`; each row adds up to 1.
        """
        return np.asarray(softmax(-2 * self._firing(X) / self.margin_, axis=1))

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Return the class whose neuron fires first.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
            Class labels. If neurons tie for the first spike, this is the lower class, and if none
            fires, the first class. `spike_times` shows for which samples this happens.
        """
        leads = self.decision_function(X)
        return self.classes_[
            (leads > 0).astype(int) if leads.ndim == 1 else np.argmax(leads, axis=1)
        ]

    def _firing(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Return the spike times in s, of silent neurons the end of the read."""
        times = self.spike_times(X)
        return np.where(np.isnan(times), self.network_.design.window, times)

    def _features(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        check_is_fitted(self, "network_")
        self._check_unchanged()
        return validate_data(self, self._flat(X), reset=False, dtype=np.float64)

    def _check_unchanged(self) -> None:
        """Raise ValueError if a parameter that only `fit` can change was set to another value."""
        for name, value in self._fixed.items():
            if repr(getattr(self, name)) != repr(value):
                raise ValueError(
                    f"{name} was changed after the network was made: call fit, or set it back to "
                    f"{value!r}"
                )

    # Netlists

    def netlist(self, x: ArrayLike) -> str:
        """Return the netlist of a read of one sample, for ``ngspice -b``.

        With a device file of `memristive measure`, each cell is the subcircuit of the model. The
        class of the first spike is the decision. ngspice prints the spikes as spike_0, spike_1, and
        so on, in the order of `classes_`. Before 250 us they agree with `spike_times` within 0.1
        us. A read of many subcircuits is slow, because ngspice solves all of them in one circuit:
        digits with pairs (2,580) take a minute or more.

        Parameters
        ----------
        x : array of shape (n_features,), or DataFrame of one row
            The sample. Several samples raise ValueError.
        """
        check_is_fitted(self, "network_")
        one = (
            x
            if hasattr(x, "columns")
            else np.reshape(np.asarray(x, float), (-1, self.n_features_in_))
        )
        features = self._features(one)
        if len(features) != 1:
            raise ValueError(f"x must be one sample, got {len(features)}")
        levels = self.encoding_.levels(features)[0]
        return netlist(self.network_, levels, self.classes_, "sample", self._cells())

    def export_netlist(self, path: str | Path, x: ArrayLike) -> Path:
        """Write the `netlist` of a read of one sample, and return the path. An earlier file is
        overwritten.
        """
        write_file(path, self.netlist(x))
        return Path(path)

    # Costs

    def costs(self, X: ArrayLike, y: ArrayLike | None = None, **options: Any) -> Costs:  # noqa: N803
        """Return the costs of the network over samples: of an inference, and with labels also of an
        error and of a training as by `fit`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,), default=None
            Class labels.
        **options
            `sample`, `technology` and `device` of `memristive.costs`.
        """
        levels = self.encoding_.levels(self._features(X))
        options = {"device": self._device} | options
        if y is None:
            return costs(self.network_, levels, **options)
        labels = np.searchsorted(self.classes_, np.asarray(y))
        rule = dataclasses.replace(self._rule_now(), presentations=self.n_presentations_)
        return costs(self.network_, levels, labels, rule, **options)

    # Files

    def save(
        self,
        path: str | Path,
        origin: Values | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write parameters, scaling and voltages as JSON, and return the path.

        Parameters
        ----------
        path : path
        origin : mapping, default=None
            Further parameters to store in the file, for example the name of the data.
        overwrite : bool, default=False
            Replace a file with other content. Otherwise the earlier file is kept as NAME.1.json.

        Raises
        ------
        ParameterError
            A value could not be read back, such as a state that is nan. Nothing is written.
        """
        check_is_fitted(self, "network_")
        # a generator has changed since
        seed = self.random_state if isinstance(self.random_state, int | np.integer) else None
        kinds = self.network_.kinds
        content = {
            "format": CLASSIFIER,
            "version": VERSION,
            "parameters": origin or {},
            "estimator": {
                **self.get_params(),
                **self._fixed,
                "hidden": self.network_.neurons[:-1],
                "convolution": kinds if len(kinds) > 1 else next(iter(kinds), None),
                "random_state": seed,
            },
            "presentations": self.n_presentations_,
            "classes": self.classes_,
            "features": self.n_features_in_,
            "feature_names": getattr(self, "feature_names_in_", None),
            "low": self.encoding_.low,
            "span": self.encoding_.span,
            "network": network_content(self.network_, self._suited, engine=self.engine_),
        }
        _stored(path, as_read(content)).trained(path)
        write_json(path, content, overwrite)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the classifier of a file that `save` wrote. Raises FileProblem if `path` cannot be
        read or holds no JSON object, and ParameterError, which names file and entry, if a value is
        missing or wrong, or if the SPICE model of its device has changed since the training. The
        file holds the measured device, so a device file may move or change.
        """
        stored = _stored(
            path, read_json(path, "a classifier file; MemristiveClassifier.save writes it")
        )
        model = cls(**vars(stored.estimator))
        complement = model.encoding == COMPLEMENT and model.convolution is None
        model.encoding_ = FeatureEncoding(stored.low, stored.span, complement)
        model.classes_ = np.array(stored.classes)
        model.n_presentations_, model.n_features_in_ = stored.presentations, stored.features
        if stored.feature_names:
            model.feature_names_in_ = np.array(stored.feature_names, dtype=object)
        network, rule, model.engine_ = stored.trained(path)
        model._suited, model._seed = rule, rule.seed
        rows = model.encoding_.levels(stored.low[None]).shape[1]
        if (network.sizes[0], network.sizes[-1]) != (rows, len(stored.classes)):
            raise ParameterError(
                f"{path}: network has {network.sizes[0]} inputs and {network.sizes[-1]} classes, "
                f"features and classes need {rows} and {len(stored.classes)}"
            )
        model._set_network(network)
        return model


def check_dose(dose: float) -> None:
    """Raise ParameterError unless the `dose` in V is allowed."""
    if not (isinstance(dose, Real) and 0 < dose <= LARGEST_DOSE):
        raise ParameterError(
            f"dose must be None or above 0 and up to {LARGEST_DOSE:g} V, got {dose!r}"
        )


def _stored(path: str | Path, content: Fields) -> StoredClassifier:
    """Return the checked content of a classifier's file; raise ParameterError, which names the file
    and the entry.
    """
    if content.get("format") == NETWORK:
        raise ParameterError(f"{path} holds a network: memristive.load reads it")
    try:
        return restored(StoredClassifier, content)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None
