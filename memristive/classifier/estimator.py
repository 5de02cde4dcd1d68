"""Networks of memristors as a scikit-learn classifier.

They learn from their errors online, by local writes (docs/layers.md), in closed form or ngspice.
"""

import copy
import dataclasses
import functools
from collections.abc import Mapping, Sequence
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

import memristive.classifier.defaults as defaults
from memristive.accounting.overview import Costs, costs
from memristive.classifier.feature_encoding import COMPLEMENT, ENCODINGS, FeatureEncoding
from memristive.classifier.stored import VERSION, StoredClassifier
from memristive.devices.measured_device import (
    device_of_record,
    device_record,
    emulator,
    load_device,
    model_of,
)
from memristive.devices.spice_model import check_model
from memristive.engines.engine import ModelCells, NgspiceNetwork, check_engine, read
from memristive.engines.read_netlist import netlist
from memristive.files import read_json, restored
from memristive.io.records import write_file, write_json
from memristive.io.voltages import CLASSIFIER
from memristive.io.voltages import FORMAT as NETWORK
from memristive.learning.build import (
    CONVOLUTION_RULE,
    chosen_convolution,
    convolution_settings,
    initial_network,
    measured_design,
    measured_parameters,
    measured_pulses,
    presented,
    suited_changes,
    suited_kernels,
)
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip, chosen_chip
from memristive.network.design import CLOSED_FORM, NGSPICE, Convolution, LayerDesign
from memristive.network.inputs import layer_sizes
from memristive.network.networks import Network, network_on_chip, thresholds_per_volt
from memristive.parameters import ParameterError, as_whole, check_kind
from memristive.progress import progress
from memristive.scores.checks import warn_of_layers
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

# parameters of a network, which only `fit` can change
FIXED = (
    *("hidden", "encoding", "device", "pairs", "late", "convolution"),
    *("memristor", "neuron", "chip"),
)
LARGEST_DOSE, MOST_EPOCHS = 5.0, 10**6  # V; most presentations of each sample
HIDDEN_LAYERS = (100,)  # default sizes without a device
# thresholds, because weights of measured devices decay to 0 and neurons must fire without them
BIAS_DRIVE = 1.5


# measures a SPICE model once in a process
_model_cells = functools.lru_cache(maxsize=4)(ModelCells)


class MemristiveClassifier(ClassifierMixin, BaseEstimator):
    """Spiking network of memristors that learns in situ and decides by the first output spike.

    Each feature drives a row of the first crossbar, each class has an output neuron. A sample is
    presented. If the right neuron does not lead by the margin, cells of the right class are
    potentiated and those of the first wrong class depressed.

    Parameters
    ----------
    hidden : int or sequence of int, default=None
        Neurons of each hidden layer; () for a single layer. None: (100,) without a `device`, ()
        with one, because noise and bent curves of most measured devices silence hidden neurons at
        the default dose. From four hidden layers on, layers start in equal parts
        of the window (docs/layers.md).
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
        time constant of the membrane. A hidden cell changes by twice the dose per volt of its
        neuron's error. The dose falls to 0 over a call. None: 2.4 V over the number of features, at
        most 0.1 V, and less for more than five classes, several hidden layers, or in `fit` for
        fewer than 50 hidden neurons.
    margin : float, default=None
        Time in s by which the right neuron has to lead, or cells are written. None: 4 us for 1,500
        samples or more, up to 12 us for fewer.
    memristor : MemristorParameters, default=None
        Device. None: the default parameters.
    device : str, default=None
        Measured device instead of `memristor`: name of a preset ("epiram") or path of a device
        file, see docs/devices.md. Cells are written by whole pulses with the cycle-to-cycle noise
        of the device. The default dose is smaller if steps depend on the state. Most presets learn
        best with two pairs, or with one pair and `late`. None: `memristor`.
    pairs : int, default=0
        Number of differential pairs of each synapse. 0: single cells and a reference column. A
        device whose steps up and down differ needs pairs.
    late : bool, default=False
        With a `device`: each synapse adds up doses on a poor capacitor, the paper's emulator, until
        whole pulses are due (docs/writes_late.md). The default dose and margin are then larger.
    convolution : Convolution or dict, default=None
        The samples are images, and the first layer reads them window by window
        (docs/convolution.md). A dict has some of the fields of a `Convolution`, such as window and
        regions; the others follow from the images. `hidden` starts with the number of kernels. All
        pixels then share one scale, and there are no complements. None: a dense network.
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
        pairs: int = 0,
        late: bool = False,
        convolution: Convolution | Mapping[str, Any] | None = None,
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
        presentations = max(defaults.EPOCHS * len(features), defaults.PRESENTATIONS)
        presentations = -(-presentations // len(features)) * len(features)
        if self.epochs is not None:
            presentations = as_whole("epochs", self.epochs, 1, MOST_EPOCHS) * len(features)
        elif self.convolution is not None:
            presentations = presented(len(features))
        self._start(features, np.unique(targets), len(features), presentations)
        self._learn(self._rule_of(presentations), features, targets)
        return self

    def _rule_of(self, presentations: int) -> LayeredRule:
        """Return the rule of a `fit` of so many presentations."""
        rule, share = self._rule(), 1.0
        if self.dose is None and self.convolution is None:
            share = defaults.hidden_share(len(self.classes_), self._hidden_sizes())
        return dataclasses.replace(
            rule, presentations=presentations, hidden_dose=share * rule.hidden_dose
        )

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
            Classes are missing or differ from those of the first call, or a parameter or the data
            are invalid.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        known = np.unique(np.asarray(classes)) if classes is not None else self.classes_
        if not first:
            self._check_unchanged()
            if not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_}, got {known}"
                )
        features, targets = self._training_data(X, y, reset=first)
        unknown = np.setdiff1d(targets, known)
        if len(unknown):
            raise ValueError(f"y has labels that are not among the classes: {unknown}")
        if first:
            self._start(features, known, defaults.MANY)
        rule = self._rule()
        self._learn(
            dataclasses.replace(
                rule,
                presentations=len(features),
                hidden_dose=defaults.ONLINE * rule.hidden_dose,
                output_dose=defaults.ONLINE * rule.output_dose,
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
        model._set_network(self.network_)
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

    def _start(
        self,
        features: np.ndarray,
        classes: np.ndarray,
        samples: int,
        presentations: int = CONVOLUTION_RULE.presentations,
    ) -> None:
        """Check the parameters, and make an untrained network for a training on `samples`
        samples.
        """
        if len(classes) < 2:
            raise ValueError(f"y must have two classes or more, got one class: {classes[0]}")
        if self.encoding not in ENCODINGS:
            raise ParameterError(
                f"encoding must be one of {', '.join(ENCODINGS)}, got {self.encoding!r}"
            )
        kinds = {"memristor": (MemristorParameters,), "neuron": (NeuronParameters,)}
        for name, of in (kinds | {"device": (str, Path)}).items():
            if getattr(self, name) is not None:
                check_kind(name, getattr(self, name), *of)
        if self.late and self.device is None:
            raise ParameterError("late is for measured devices: give a device")
        self._convolution = None
        if self.convolution is not None:
            self._convolution = chosen_convolution(self.convolution, self._image_shape)
        hidden = self._hidden_sizes()
        self.classes_, self.margin_, self.n_presentations_ = (
            classes,
            suited_changes(self._convolution, hidden[0], presentations)["margin"]
            if self._convolution
            else defaults.suited_margin(samples, self.late),
            0,
        )
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.encoding_ = self._encoding_of(features)
        self._measured = load_device(self.device) if self.device else None
        levels = self.encoding_.levels(features)
        self._set_network(self._untrained(levels))

    def _encoding_of(self, features: np.ndarray) -> FeatureEncoding:
        if self.convolution is None:
            return FeatureEncoding.of(features, self.encoding == COMPLEMENT)
        alike = (
            np.full(features.shape[1], features.min()),
            np.full(features.shape[1], np.ptp(features)),
        )
        return FeatureEncoding(*alike, complement=False)

    def _untrained(self, levels: np.ndarray) -> Network:
        """Return an untrained network for training samples with `levels` (samples x rows)."""
        devices = self._devices()  # before the rule takes a dose from the curves
        hidden, classes = self._hidden_sizes(), len(self.classes_)
        if self._convolution:
            return initial_network(hidden, classes, levels, self._rule(), **devices)
        return defaults.untrained_network(self._rule(), levels, hidden, classes, devices)

    def _set_network(self, network: Network) -> None:
        """Put the network on the chip, and store the parameters that it was made with."""
        # of any shape
        chip = chosen_chip(self.chip, self._measured, seed=self._seed)
        self.network_, self._fixed = (
            network_on_chip(network, chip),
            {name: getattr(self, name) for name in FIXED},
        )

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
        dose = f"dose ({self._rule().output_dose:.3g} V)"
        warn_of_layers(self.network_, levels, hidden_dose=dose, output_dose=dose, labels=labels)

    def _bar(self, what: str, total: int) -> Any:
        """Return what wraps steps with a progress bar on a terminal if `verbose`."""
        return lambda steps: progress(steps, total, what, "sample", bool(self.verbose))

    def _rule(self) -> LayeredRule:
        """Return the learning rule, with the dose of the first write."""
        hidden = self._hidden_sizes()
        if self._convolution:
            return self._convolution_rule(self._convolution, hidden[0])
        dose = (
            defaults.suited_dose(self.n_features_in_, len(self.classes_), hidden)
            if self.dose is None
            else self.dose
        )
        if self._measured and self.dose is None:
            dose = defaults.device_dose(dose, self._measured, self.pairs, self.late)
        check_dose(dose)
        return defaults.learning_rule(
            dose, self.margin_ if self.margin is None else self.margin, self._seed, hidden
        )

    def _convolution_rule(self, convolution: Convolution, kernels: int) -> LayeredRule:
        # doses do not depend on the number of presentations
        changes = suited_changes(convolution, kernels, CONVOLUTION_RULE.presentations)
        rule = convolution_settings(self._measured, self.pairs, self.late, changes)[1]
        margin = self.margin_ if self.margin is None else self.margin
        if self.dose is not None:
            check_dose(self.dose)
            factor = self.dose / rule.output_dose
            rule = dataclasses.replace(
                rule, output_dose=self.dose, hidden_dose=factor * rule.hidden_dose
            )
        return dataclasses.replace(rule, margin=margin, seed=self._seed)

    def _hidden_sizes(self) -> tuple[int, ...]:
        if self._convolution:
            return layer_sizes(self.hidden) or (suited_kernels(self._convolution),)
        if self.hidden is None:
            return HIDDEN_LAYERS if self.device is None else ()
        return layer_sizes(self.hidden)

    def _devices(self) -> dict[str, Any]:
        """Return the parameters, design and pulses of a network, as arguments of `Network`."""
        given = [name for name in ("memristor", "neuron") if getattr(self, name) is not None]
        if self._measured and given and (self._convolution or given[0] == "memristor"):
            raise ParameterError(f"give device or {given[0]}, not both")
        parameters = NetworkParameters(
            self.memristor or MemristorParameters(), self.neuron or NeuronParameters()
        )
        if self._convolution:
            made, _ = convolution_settings(self._measured, self.pairs, self.late)
            made["convolution"] = self._convolution
            if not self._measured:
                made["parameters"] = parameters
                made["design"] = dataclasses.replace(made["design"], pairs=self.pairs)
            return made
        if self._measured is None:
            return {"parameters": parameters, "design": LayerDesign(pairs=self.pairs)}
        emulated = emulator(self._measured)
        # A volt of X moves a membrane as far as one of the default memristor does, so that the same
        # doses suit.
        gain = thresholds_per_volt(NetworkParameters(), LayerDesign()) * (
            emulated.high - emulated.low
        )
        return {
            "parameters": measured_parameters(emulated, self.neuron),
            "pulses": measured_pulses(emulated, late=self.late),
            "design": measured_design(
                emulated,
                self.pairs,
                gain,
                self.neuron,
                hidden_bias=BIAS_DRIVE,
                output_bias=BIAS_DRIVE,
            ),
        }

    def _cells(self) -> ModelCells | None:
        """Return the cells of the device's SPICE model in ngspice; None without a model."""
        if not self._measured or not self._measured.model:
            return None
        if self.network_.devices is not None:
            raise ParameterError(
                "a SPICE model in ngspice cannot have a chip's deviations: set chip to None"
            )
        return _model_cells(model_of(self._measured))

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
        so on, in the order of `classes_`. They agree with `spike_times` within 0.1 us. A read of
        many subcircuits is slow, because ngspice solves all of them in one circuit: digits with
        pairs (2,580) take a minute or more.

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
        """Write the `netlist` of a read of one sample, and return the path. An earlier netlist is
        overwritten. Raises NotOverwritten if `path` holds something else.
        """
        write_file(path, self.netlist(x), lambda before: before.startswith(b".title"))
        return Path(path)

    # Costs

    def costs(self, X: ArrayLike, y: ArrayLike | None = None, **options: Any) -> Costs:  # noqa: N803
        """Return the costs of the network over samples: of an inference, and with labels also of an
        error and of a training like that of `fit`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,), default=None
            Class labels.
        **options
            `sample`, `technology` and `device` of `memristive.costs`.
        """
        levels = self.encoding_.levels(self._features(X))
        options = {"device": self._measured} | options
        if y is None:
            return costs(self.network_, levels, **options)
        labels = np.searchsorted(self.classes_, np.asarray(y))
        rule, start = self._rule_of(self.n_presentations_), self._untrained(levels)
        return costs(self.network_, levels, labels, rule, start=start, **options)

    # Files

    def save(
        self,
        path: str | Path,
        origin: Mapping[str, Any] | None = None,
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
        estimator = {
            **self.get_params(),
            **self._fixed,
            "hidden": tuple(layer.neurons for layer in self.network_.layers[:-1]),
            "convolution": self.network_.convolution,
            "random_state": seed,
        }
        device = self._measured and device_record(self._measured)
        content = {
            "format": CLASSIFIER,
            "version": VERSION,
            "parameters": origin or {},
            "estimator": estimator,
            "device": device,
            "trained_by": self.engine_,
            "presentations": self.n_presentations_,
            "seed": self._seed,
            "margin": self.margin_,
            "classes": self.classes_,
            "features": self.n_features_in_,
            "feature_names": getattr(self, "feature_names_in_", None),
            "low": self.encoding_.low,
            "span": self.encoding_.span,
            "voltages": self.voltages_,
        }
        write_json(path, content, overwrite, lambda made: _stored(path, made))
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
        model._convolution = stored.estimator.convolution
        model.classes_, model.margin_ = np.array(stored.classes), stored.margin
        model._seed, model.engine_ = stored.seed, stored.trained_by
        model.n_presentations_, model.n_features_in_ = stored.presentations, stored.features
        if stored.feature_names:
            model.feature_names_in_ = np.array(stored.feature_names, dtype=object)
        try:
            model._measured = device_of_record(stored.device) if stored.device else None
            if model._measured:
                check_model(model._measured.model, model._measured.model_sha256)
            model._set_network(Network(stored.voltages, **model._devices()))
            rows = model.encoding_.levels(stored.low[None]).shape[1]
            wanted = (rows, *model._hidden_sizes(), len(stored.classes))
            layers = model.network_.layers
            found = (model.network_.sizes[0], *(layer.neurons for layer in layers))
            if found != wanted:
                raise ParameterError(
                    f"voltages must suit features, hidden and classes: {wanted}, got {found}"
                )
            model.network_.check_range()
        except ParameterError as error:
            raise ParameterError(f"{path}: device or voltages: {error}") from None
        return model


def check_dose(dose: float) -> None:
    """Raise ParameterError unless the `dose` in V is allowed."""
    if not (isinstance(dose, Real) and 0 < dose <= LARGEST_DOSE):
        raise ParameterError(
            f"dose must be None or above 0 and up to {LARGEST_DOSE:g} V, got {dose!r}"
        )


def _stored(path: str | Path, content: dict[str, Any]) -> StoredClassifier:
    """Return the checked content of a classifier's file; raise ParameterError, which names the file
    and the entry.
    """
    if content.get("format") == NETWORK:
        raise ParameterError(f"{path} holds a network: memristive.load reads it")
    try:
        return restored(StoredClassifier, content)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None
