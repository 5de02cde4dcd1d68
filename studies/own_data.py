"""How well does a network of memristors learn your data? Cross-validated beside scikit-learn's classifiers.

SOURCE is iris, wine, breast_cancer, digits, or a CSV file of numbers with a header; its last column (or --label) is the class.
Each fold trains and tests in closed form. With --engine ngspice a held-out tenth is then tested in ngspice too, sample by sample;
with --in-situ its network is trained there. Writes results/own_data_NAME.json, figures/own_data_NAME_*.png and the network
trained on everything, voltages/NAME_classifier.json. Seconds for iris, minutes for digits.
"""

import csv
import re
import sys
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn.datasets
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import plotting
from memristive.classifier import MemristiveClassifier
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser, table, whole_number
from memristive.cli.parallel import run_resumable
from memristive.io.files import check_overwriting, report
from memristive.io.results import write_results
from memristive.network.measured_layers import MEASURED_NEURON
from memristive.network.operating_range import OperatingRangeWarning
from memristive.network.scores import confusion, decide, interval, largest_deviation
from memristive.network.setup import CLOSED_FORM, ENGINES, NGSPICE
from memristive.network.spike_decoding import RESOLUTION
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

BUILT_IN = ("iris", "wine", "breast_cancer", "digits")
LEAST_MEMBERS = 3  # of a class
MOST_CLASSES = 20  # numbers of more values, some of them rare, are no classes
HELD_OUT = 0.1  # share that is tested in ngspice
EXAMPLES = 3  # samples of each class in the raster
NETWORK = "memristor network"
MLP_EPOCHS, MLP_PATIENCE = 3000, 100  # at most; epochs without a better validation score
MLP_STOPPED_FROM = 20  # members of the smallest class: early stopping holds out a tenth with members of each class


def main(arguments: list[str] | None = None) -> None:
    """Train on everything, cross-validate, compare with ngspice, save, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__, netlist=True)))
    parser.add_argument("source", metavar="SOURCE", help=f"{', '.join(BUILT_IN)}, or a CSV file")
    parser.add_argument("--label", metavar="COLUMN", help="class column of a CSV file, name or number (default: the last)")
    parser.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns to leave out, e.g. row numbers")
    parser.add_argument("--hidden", type=whole_number(1, 10_000), nargs="*", metavar="N",
                        help="neurons of each hidden layer; nothing for a single layer (default: 100; nothing with --device)")
    parser.add_argument("--device", metavar="NAME", help="measured device instead of the default one: preset or device file")
    parser.add_number("--pairs", 0, 64, None, "differential pairs of a synapse (default: 2 with --device, else 0: single cells)")
    parser.add_number("--epochs", 1, 10**6, None, "presentations of each sample (default: 40, or as many as make 3,000 in all)")
    parser.add_argument("--dose", type=float, metavar="V", help="dose of the first writes (default: suits the table)")
    parser.add_number("--folds", 2, 1000, 10, "parts of the cross-validation")
    parser.add_number("--repeats", 1, 1000, 1, "cross-validations with different folds")
    parser.add_number("--seed", 0, 2**31 - 1, 1, "of folds and starts")
    parser.add_number("--rows", 4, 10**9, 20_000, "rows that are drawn from a larger table")
    parser.add_argument("--engine", choices=ENGINES, default=CLOSED_FORM, help="ngspice: test a held-out tenth there as well")
    parser.add_argument("--in-situ", action="store_true", help="with --engine ngspice: train it there as well")
    parser.add_argument("--voltages", type=Path, metavar="FILE", help="classifier (default: voltages/NAME_classifier.json)")
    options = parser.parse_args(arguments)
    if options.in_situ and options.engine != NGSPICE:
        parser.error("--in-situ needs --engine ngspice")

    # 1. The table, the network of memristors, and the classifiers beside it.
    features, labels = load_table(options.source, options.label, options.drop)
    if len(labels) > options.rows:
        print(f"{options.rows} of {len(labels)} rows are drawn; --rows {len(labels)} uses all")
        features, labels = resample(features, labels, replace=False, n_samples=options.rows, stratify=labels,
                                    random_state=options.seed)
    classes, truth, members = np.unique(labels, return_inverse=True, return_counts=True)
    memristor, neuron = apply_settings(options, memristor=MemristorParameters(),
                                       neuron=MEASURED_NEURON if options.device else NeuronParameters())
    hidden = ([] if options.device else [100]) if options.hidden is None else options.hidden
    pairs = (2 if options.device else 0) if options.pairs is None else options.pairs
    network = MemristiveClassifier(tuple(hidden), epochs=options.epochs, dose=options.dose, device=options.device,
                                   memristor=None if memristor == MemristorParameters() else memristor, pairs=pairs,
                                   neuron=neuron, random_state=options.seed)
    methods = {NETWORK: network, **others(hidden, members.min(), options.seed)}
    folds = min(options.folds, int(members.min()))
    name = f"own_data_{Path(options.source).stem}"
    record = options.results / f"{name}.json"
    path = options.voltages or Path("voltages") / f"{Path(options.source).stem}_classifier.json"
    parameters = {"source": Path(options.source).name, "label": options.label, "drop": options.drop, "rows": len(labels),
                  "table": zlib.crc32("\n".join(map(str, labels)).encode(), zlib.crc32(features.tobytes())), "folds": folds,
                  "repeats": options.repeats, "seed": options.seed, "engine": options.engine, "in_situ": options.in_situ,
                  "hidden": hidden, "epochs": options.epochs, "dose": options.dose,
                  "device": options.device, "pairs": pairs,
                  "network": NetworkParameters(memristor, neuron).as_dict()}
    given = [options.source, options.device]
    check_overwriting(path, parameters, options.force, given)
    check_overwriting(record, parameters, options.force, [*given, path])
    if options.netlist:
        check_overwriting(options.netlist, None, options.force, [*given, path])

    # 2. Train on everything, for later use.
    final = clone(network).fit(features, labels)

    # 3. Cross-validate: each repeat tests every sample once, with classifiers that were not trained on it.
    tasks = []
    for repeat in range(options.repeats):
        parts = StratifiedKFold(folds, shuffle=True, random_state=options.seed + repeat).split(features, truth)
        tasks += [Fold(methods, features, truth, repeat, fold, *indices) for fold, indices in enumerate(parts)]
    found = run_resumable(evaluate, tasks, [len(task.train) for task in tasks], options, record, parameters)
    rows = [row for one in found for row in one["rows"]]
    predicted, strict = np.zeros((len(methods), options.repeats, len(labels)), int), np.zeros((options.repeats, len(labels)), int)
    for task, one in zip(tasks, found, strict=True):
        predicted[:, task.repeat, task.test], strict[task.repeat, task.test] = one["predicted"], one["strict"]

    # 4. Test a held-out tenth in ngspice.
    compared = {}
    if options.engine == NGSPICE:
        compared["ngspice"] = compare_in_ngspice(network, features, labels, options.seed, options.in_situ)

    # 5. Save and print.
    path.parent.mkdir(parents=True, exist_ok=True)
    report(f"wrote {final.save(path, parameters)}")
    if options.netlist:
        report(f"wrote {final.export_netlist(options.netlist, features[0])}, the read of the first sample, for ngspice -b")
    summary = {method: scores(truth, predicted[k], classes) for k, method in enumerate(methods)}
    summary[NETWORK] |= {"strict_accuracy": np.mean(strict == truth), "undecided": np.mean(strict < 0)}
    write_results(record, parameters, {
        "samples": len(labels), "features": features.shape[1], "classes": classes, "folds": folds, "summary": summary,
        "clipped_features": np.mean([row["clipped_features"] for row in rows if row["method"] == NETWORK]), **compared,
        "seconds": sum(one["seconds"] for one in found), "rows": rows}, ngspice=options.engine == NGSPICE)
    print_summary(summary, dict(zip(classes, members, strict=True)), compared.get("ngspice"))

    # 6. Plot.
    names = [str(label)[:20] for label in classes]
    plotting.save(plotting.confusion(confusion(truth, strict[0], len(classes)), names, unit="samples"),
                  options.figures / f"{name}_confusion.png")
    chosen = np.concatenate([np.flatnonzero(truth == k)[:EXAMPLES] for k in range(len(classes))])
    plotting.save(raster(final.spike_times(features[chosen]), truth[chosen], names), options.figures / f"{name}_raster.png")


def load_table(source: str, label: str | None = None, drop: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return a table as arrays.

    Parameters
    ----------
    source : str
        Name in `BUILT_IN`, or a CSV file with a header. pandas detects the separator; columns without a name are left out.
    label : str, optional
        Name or number of the class column, counted from 1 or, below 0, from the end. Default: the last.
    drop : sequence of str
        Names of columns to leave out.

    Returns
    -------
    features : array, samples x features
    labels : array, samples
        Integers, booleans or strings.

    Raises
    ------
    ParameterError
        The file is no table of numbers with two or more classes.
    """
    if source in BUILT_IN:
        if label or drop:
            raise ParameterError(f"--label and --drop are for CSV files, {source} is built in")
        data = getattr(sklearn.datasets, f"load_{source}")()
        features, labels = data.data, np.asarray(data.target_names).astype(str)[data.target]
    else:
        features, labels = _read_csv(source, label, drop)
    return features, labels


def _read_csv(source: str, label: str | None, drop: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    try:
        frame = pd.read_csv(source, sep=None, engine="python", skipinitialspace=True, na_values="?")
    except OSError as error:
        raise ParameterError(f"{source}: {error.strerror}; expected a CSV file or one of {', '.join(BUILT_IN)}") from error
    except (ValueError, csv.Error) as error:
        raise ParameterError(f"{source} is not a CSV file: {str(error).splitlines()[0]}") from error
    frame = frame.loc[:, ~frame.columns.str.startswith("Unnamed: ")]
    if frame.columns.str.fullmatch(r"-?\d+(\.\d+)?").all():
        warnings.warn(f"{source}: the first row holds numbers and was read as the header", stacklevel=2)
    unknown = set(drop) - set(frame.columns)
    if unknown:
        raise ParameterError(f"{source} has no column {min(unknown)!r}, it has {', '.join(frame.columns)}")
    frame = frame.drop(columns=list(drop))
    column = _column(source, list(frame.columns), label)
    features, labels = frame.drop(columns=column), frame[column]
    if labels.isna().any():
        raise ParameterError(f"{source}: column {column!r} lacks the class of {labels.isna().sum()} of {len(labels)} rows; leave "
                             "them out, or name the class column with --label")
    _check_classes(source, labels)
    if features.empty:
        raise ParameterError(f"{source}: there is no column beside the class column {column!r}")
    values = features.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        line, place = wrong[0]
        name, value = features.columns[place], features.iloc[line, place]
        if isinstance(value, str) and re.fullmatch(r"[-+]?\d*,\d+", value.strip()):
            raise ParameterError(f"{source}: column {name!r} has decimal commas, {value!r} in row {line + 1}; write points")
        if isinstance(value, str):
            raise ParameterError(f"{source}: column {name!r} holds text, {value!r} in row {line + 1}; encode it as numbers, for "
                                 f"example with pandas.get_dummies, leave it out with --drop {name!r}, or name it as the class "
                                 f"with --label {name!r}")
        raise ParameterError(f"{source}: row {line + 1} of column {name!r} must be a finite number, got {value}; fill it in, or "
                             f"leave the column out with --drop {name!r}")
    return values, labels.to_numpy() if labels.dtype.kind in "iub" else labels.to_numpy(str)


def _check_classes(source: str, labels: "pd.Series[Any]") -> None:
    """Raise ParameterError if the class column holds one class, a class of too few rows, or a quantity."""
    members = labels.value_counts()
    if len(members) < 2:
        raise ParameterError(f"{source}: all rows are of one class, {members.index[0]}; name the class column with --label")
    fewest = int(members.min())
    if fewest < LEAST_MEMBERS:
        if labels.dtype.kind in "iuf" and (len(members) > MOST_CLASSES or (labels % 1 != 0).any()):
            raise ParameterError(f"{source}: column {labels.name!r} looks like numbers, not classes, with {len(members)} values; "
                                 "name the class column with --label, or divide the numbers into classes")
        raise ParameterError(f"{source}: class {members.idxmin()} has {fewest} row{'s' * (fewest > 1)}, expected {LEAST_MEMBERS} "
                             "or more; add rows, or name the class column with --label")


def _column(source: str, columns: list[str], label: str | None) -> str:
    """Return the name of the class column."""
    if label in columns:
        return label
    try:
        number = int(label or -1)
        return columns[number - (number > 0)]
    except (ValueError, IndexError):
        raise ParameterError(f"{source} has no column {label!r}, it has {', '.join(columns)}") from None


def others(hidden: Sequence[int], members: int, seed: int) -> dict[str, Any]:
    """Return scikit-learn's classifiers by name; `members`: rows of the smallest class. A single layer's MLP has 100 neurons."""
    sizes = tuple(hidden) or (100,)
    found = {"logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
             "random forest": RandomForestClassifier(random_state=seed),
             "MLP": make_pipeline(StandardScaler(), MLPClassifier(sizes, max_iter=MLP_EPOCHS, random_state=seed))}
    if members >= MLP_STOPPED_FROM:
        found["MLP, early stopping"] = make_pipeline(StandardScaler(), MLPClassifier(
            sizes, max_iter=MLP_EPOCHS, early_stopping=True, n_iter_no_change=MLP_PATIENCE, random_state=seed))
    return found


@dataclass(frozen=True)
class Fold:
    """One fold of the cross-validation: the table, and the indices of the training and test samples."""

    methods: Mapping[str, Any]
    features: np.ndarray
    truth: np.ndarray
    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray


def evaluate(task: Fold) -> dict[str, Any]:
    """Fit and test all methods; return the record's rows, and the decisions on the test samples. Runs in a worker."""
    start, tested, truth = time.perf_counter(), task.features[task.test], task.truth[task.test]
    rows, predicted = list[dict[str, Any]](), list[np.ndarray]()
    for name, method in task.methods.items():
        fitted = clone(method)
        if name == NETWORK:
            fitted.set_params(random_state=fitted.random_state + task.repeat)
        fit(fitted, task.features[task.train], task.truth[task.train])
        predicted.append(fitted.predict(tested))
        rows.append({"method": name, "repeat": task.repeat + 1, "fold": task.fold + 1, "samples": len(truth),
                     "accuracy": np.mean(predicted[-1] == truth)})
        if name == NETWORK:
            strict = decide(fitted.spike_times(tested), RESOLUTION)[0]
            rows[-1] |= {"strict_accuracy": np.mean(strict == truth), "undecided": np.mean(strict < 0),
                         "clipped_features": fitted.clipped(tested)}
    return {"rows": rows, "predicted": predicted, "strict": strict, "seconds": time.perf_counter() - start}


def fit(estimator: Any, features: np.ndarray, labels: np.ndarray) -> None:
    """Fit an estimator; Ctrl-C ends the fit of scikit-learn's MLP, which would only warn."""
    with warnings.catch_warnings(), threadpool_limits(1):  # more threads take ten times as long for such small matrices
        warnings.simplefilter("ignore", OperatingRangeWarning)  # the network trained on everything warns
        warnings.filterwarnings("error", "Training interrupted")
        try:
            estimator.fit(features, labels)
        except UserWarning as warning:
            raise KeyboardInterrupt from warning


def scores(truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> dict[str, Any]:
    """Return accuracy and recall by class of `predicted` (repeats x samples). The interval is that of one repeat."""
    accuracy = float((predicted == truth).mean(axis=1).mean())
    recall = {str(label): float((predicted[:, truth == k] == k).mean()) for k, label in enumerate(classes)}
    return {"accuracy": accuracy, "interval_95": interval(round(accuracy * len(truth)), len(truth)), "recall": recall}


def compare_in_ngspice(network: MemristiveClassifier, features: np.ndarray, labels: np.ndarray, seed: int,
                       in_situ: bool) -> dict[str, Any]:
    """Test a held-out tenth of each class in ngspice and in closed form; `in_situ`: train the network in ngspice."""
    train, test = train_test_split(np.arange(len(labels)), test_size=max(HELD_OUT, len(np.unique(labels)) / len(labels)),
                                   stratify=labels, random_state=seed)
    fitted = clone(network).set_params(random_state=seed, engine=NGSPICE if in_situ else CLOSED_FORM, verbose=int(in_situ))
    start = time.perf_counter()
    fitted.fit(features[train], labels[train])
    trained_by, trained = fitted.engine_, time.perf_counter()
    simulated = fitted.set_params(engine=NGSPICE, verbose=1).spike_times(features[test])
    tested = time.perf_counter()
    computed = fitted.set_params(engine=CLOSED_FORM).spike_times(features[test])
    truth = np.searchsorted(fitted.classes_, labels[test])
    by_ngspice, by_formula = (decide(spikes, RESOLUTION)[0] for spikes in (simulated, computed))
    return {"trained_by": trained_by, "tested_by": NGSPICE, "samples": len(test), "right": int((by_ngspice == truth).sum()),
            "right_by_closed_form": int((by_formula == truth).sum()), "same_decision": int((by_ngspice == by_formula).sum()),
            "largest_spike_deviation_s": largest_deviation(simulated, computed, fitted.network_.design.window),
            "training_seconds": trained - start, "testing_seconds": tested - trained}


def print_summary(summary: Mapping[str, Any], members: Mapping[Any, int], ngspice: Mapping[str, Any] | None) -> None:
    """Print accuracies, recall by class, and the comparison with ngspice."""
    print(table(("method", "accuracy", "95 % interval"), [
        (method, f"{one['accuracy']:.2%}", "{:.1%} to {:.1%}".format(*one["interval_95"])) for method, one in summary.items()]))
    print(table(("recall of class", "samples", *summary), [
        (label, count, *(f"{one['recall'][str(label)]:.1%}" for one in summary.values())) for label, count in members.items()]))
    print(f"{NETWORK}, strictly: {summary[NETWORK]['strict_accuracy']:.2%}, {summary[NETWORK]['undecided']:.2%} undecided")
    if ngspice:
        print(f"held-out tenth, trained by {ngspice['trained_by']}: ngspice decides {ngspice['right']} of {ngspice['samples']} "
              f"right, {ngspice['same_decision']} as the closed form")


def raster(spikes: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw first spikes (samples x classes, s) of a few samples with their class numbers."""
    figure, axis = plt.subplots(figsize=(plotting.WIDTH, 1.4 + 0.22 * len(spikes)))
    for j, name in enumerate(names):
        colour = plotting.COLOURS[j % len(plotting.COLOURS)]
        axis.plot(spikes[:, j] * 1e6, range(len(spikes)), linestyle="none", marker="osD^v"[j // len(plotting.COLOURS) % 5],
                  color=colour, label=name, markersize=6, clip_on=False)
    axis.set_yticks(range(len(spikes)), [names[k] for k in truth])
    axis.set(xlabel="first spike (µs after the input rises)", ylabel="sample, by its class",
             title="First spikes of the output neurons: the first one decides")
    axis.invert_yaxis()
    figure.legend(title="neuron", loc="outside right upper")
    return figure


if __name__ == "__main__":
    from studies import own_data  # workers import what they run

    sys.exit(run(own_data.main))
