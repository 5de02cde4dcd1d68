"""Cross-validate a network of memristors on your data, beside scikit-learn's classifiers.

SOURCE is iris, wine, breast_cancer, digits, or a file: a CSV table of numbers with a header, whose
last column (or --label) is the class, an .npz file with an array of images and one of labels, or an
.npy table. Each fold trains and tests in closed form. Writes own/own_data_NAME.json,
own/own_data_NAME_confusion.png and the network trained on everything, own/NAME_classifier.json; for
the built-in tables the files go to results/classifier/, figures/ and voltages/. NAME is the name of
SOURCE; with --device the device's name follows, with --late and --convolution also these words. If
the device has spreads, each cell is drawn from them. Seconds for iris, minutes for digits.
"""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn.datasets
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from memristive import plotting
from memristive.classifier import MemristiveClassifier
from memristive.cli.script import (
    Record,
    add_resume,
    apply_settings,
    keep_apart,
    make_parser,
    table,
)
from memristive.devices.measured_device import device_record, load_device
from memristive.io.records import check_overwriting, report
from memristive.io.tables import checksum, read_table
from memristive.learning.settings import MEASURED_NEURON
from memristive.network.chip import OF_DEVICE, device_chip
from memristive.network.recipe import Conv
from memristive.parameters import Fields, ParameterError
from memristive.scores.decisions import RESOLUTION, confusion, decide, interval
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

BUILT_IN = ("iris", "wine", "breast_cancer", "digits")
NETWORK, AT_ONCE = "memristor network", "the same, written at once"


def main(arguments: list[str] | None = None) -> None:
    """Train on everything, cross-validate, save, plot."""
    parser = add_resume(make_parser(__doc__, "classifier", netlist=True))
    parser.add_argument(
        "source", metavar="SOURCE", help=f"{', '.join(BUILT_IN)}, or a CSV, .npz or .npy file"
    )
    parser.add_argument(
        "--label", metavar="COLUMN", help="class column of a CSV file (default: the last)"
    )
    parser.add_argument(
        "--drop",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns to leave out, e.g. row numbers",
    )
    parser.add_common("--hidden", None, "default: 100; nothing with --device")
    parser.add_common("--device", None)
    parser.add_number(
        "--pairs",
        0,
        64,
        None,
        "differential pairs of a synapse, 0: single cells (default: 1 with --device, else 0)",
    )
    parser.add_argument(
        "--late",
        action="store_true",
        help="synapses of the device add up doses until pulses are due (docs/writes_late.md)",
    )
    parser.add_argument(
        "--convolution",
        nargs="+",
        metavar="NxN",
        help="read images by a window of so many pixels, e.g. 3x3, and by a further one for each "
        "convolution above; --hidden are kernels then",
    )
    parser.add_number(
        "--epochs",
        1,
        10**6,
        None,
        "presentations of each sample (default: 40, or as many as make 3,000 in all)",
    )
    parser.add_argument(
        "--dose",
        type=float,
        metavar="V",
        help="dose of the first writes (default: suits the table)",
    )
    parser.add_number("--folds", 2, 1000, 10, "parts of the cross-validation")
    parser.add_number("--seed", 0, 2**31 - 1, 1, "of folds and starts")
    parser.add_common("--voltages", None, "default: NAME_classifier.json, see above")
    options = parser.parse_args(arguments)
    networks = keep_apart(options, options.source, options.device)

    # 1. The table, the network of memristors, and the classifiers beside it.
    features, labels = samples_of(options.source, options.label, options.drop)
    classes, truth, members = np.unique(labels, return_inverse=True, return_counts=True)
    memristor, neuron = apply_settings(
        options,
        memristor=MemristorParameters(),
        neuron=MEASURED_NEURON if options.device else NeuronParameters(),
    )
    usual_hidden = [] if options.device or options.convolution else [100]
    hidden = usual_hidden if options.hidden is None else options.hidden
    convolution = windows_of(options.convolution, features.shape) if options.convolution else None
    features = features.reshape(len(features), -1)
    pairs = int(bool(options.device)) if options.pairs is None else options.pairs
    network = MemristiveClassifier(
        tuple(hidden),
        epochs=options.epochs,
        dose=options.dose,
        device=options.device,
        memristor=None if memristor == MemristorParameters() else memristor,
        pairs=pairs,
        late=options.late,
        convolution=convolution,
        neuron=None if convolution else neuron,
        chip=OF_DEVICE if options.device and device_chip(load_device(options.device)) else None,
        random_state=options.seed,
    )
    mlp = MLPClassifier(tuple(hidden) or (100,), max_iter=3000, random_state=options.seed)
    methods = {
        NETWORK: network,
        **({AT_ONCE: clone(network).set_params(late=False)} if options.late else {}),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest": RandomForestClassifier(random_state=options.seed),
        "MLP": make_pipeline(StandardScaler(), mlp),
    }
    name, folds = Path(options.source).stem, min(options.folds, int(members.min()))
    device = load_device(options.device) if options.device else None
    if device:
        name = f"{name}_{device.name}" + "_late" * options.late
    name += "_convolution" * bool(convolution)
    path = options.voltages or networks / f"{name}_classifier.json"
    made_with = {
        "source": Path(options.source).name,
        "label": options.label,
        "drop": options.drop,
        "rows": len(labels),
        "table": checksum(features, labels),
        "seed": options.seed,
        "hidden": hidden,
        "epochs": options.epochs,
        "dose": options.dose,
        "device": device and {"file": options.device, **device_record(device)},
        "pairs": pairs,
        **({"late": True} if options.late else {}),
        **({"convolution": convolution} if convolution else {}),
        "network": NetworkParameters(memristor, neuron).as_dict(),
    }
    given = [options.source, options.device]
    check_overwriting(path, made_with, options.force, given, "--voltages FILE")
    record = Record(
        options,
        f"own_data_{name}",
        {**made_with, "folds": folds},
        [*given, path],
    )
    if options.netlist:
        check_overwriting(options.netlist, None, options.force, [*given, path], "--netlist FILE")

    # 2. Train on everything, for later use.
    final = clone(network).fit(features, labels)

    # 3. Cross-validate: every sample is tested once, by classifiers that were not trained on it.
    parts = list(
        StratifiedKFold(folds, shuffle=True, random_state=options.seed).split(features, truth)
    )
    tasks = [
        Fold(f"{method}, fold {number}", classifier, features, truth, *part)
        for number, part in enumerate(parts, 1)
        for method, classifier in methods.items()
    ]
    results = record.run_tasks(evaluate, tasks, [len(task.train) for task in tasks])
    # decisions, strict decisions
    decided = {method: np.zeros((2, len(labels)), int) for method in methods}
    for task, method, one in zip(tasks, len(parts) * list(methods), results, strict=True):
        decided[method][:, task.test] = one

    # 4. Save and print.
    report(f"wrote {final.save(path, made_with, overwrite=True)}")
    if options.netlist:
        report(
            f"wrote {final.export_netlist(options.netlist, features[0])}, the read of the first "
            "sample, for ngspice -b"
        )
    rows = [
        {"method": method, **scores(truth, predicted, classes)}
        for method, (predicted, _) in decided.items()
    ]
    strict = decided[NETWORK][1]
    record.write(
        {
            "samples": len(labels),
            "features": features.shape[1],
            "classes": classes,
            "rows": rows,
            "strict_accuracy": np.mean(strict == truth),
            "undecided": np.mean(strict < 0),
        },
        ngspice=False,
    )
    print(
        table(
            ("method", "accuracy", "95 % interval"),
            [
                (
                    row["method"],
                    f"{row['accuracy']:.2%}",
                    "{:.1%} to {:.1%}".format(*row["interval_95"]),
                )
                for row in rows
            ],
        )
    )
    print(
        table(
            ("recall of class", "samples", *methods),
            [
                (label, count, *(f"{row['recall'][str(label)]:.1%}" for row in rows))
                for label, count in zip(classes, members, strict=True)
            ],
        )
    )
    print(
        f"{NETWORK}, strictly: {np.mean(strict == truth):.2%}, {np.mean(strict < 0):.2%} undecided"
    )

    # 5. Plot.
    record.plot(
        plotting.confusion(
            confusion(truth, strict, len(classes)),
            [str(label)[:20] for label in classes],
            unit="samples",
        ),
        "confusion",
    )


def windows_of(texts: list[str], shape: tuple[int, ...]) -> list[dict[str, int]]:
    """Return the fields of convolutions with windows such as "3x3", one above the other, for images
    of a `shape`. Raises ParameterError for other texts, and for samples that are none.
    """
    windows = [re.fullmatch(r"(\d{1,4})(?:x\1)?", text) for text in texts]
    fields = [{"window": int(match[1])} for match in windows if match]
    if len(fields) < len(texts):
        raise ParameterError(f"--convolution takes a window such as 3x3, got {' '.join(texts)}")
    if len(shape) == 2 and math.isqrt(shape[1]) ** 2 != shape[1]:
        raise ParameterError(
            "--convolution needs images: an .npz or .npy file of n x height x width, or a table "
            f"whose columns are the pixels of a square, got {shape[1]} columns"
        )
    convolution, _ = Conv(**fields[0]).on(shape)
    fields[0] |= {"height": convolution.height, "width": convolution.width}
    return fields


def samples_of(
    source: str, label: str | None = None, drop: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples and labels of a table in `BUILT_IN` or of a file (`read_table`)."""
    if source in BUILT_IN:
        data = getattr(sklearn.datasets, f"load_{source}")()
        return data.data, np.asarray(data.target_names).astype(str)[data.target]
    if not Path(source).exists():
        raise ParameterError(
            f"{source}: there is no such file; expected a file or one of {', '.join(BUILT_IN)}"
        )
    return read_table(source, label, drop)


@dataclass(frozen=True)
class Fold:
    """A classifier, the table with class numbers (`truth`), and the indices of one fold's training
    and test samples.
    """

    name: str
    method: BaseEstimator
    features: np.ndarray
    truth: np.ndarray
    train: np.ndarray
    test: np.ndarray


def evaluate(task: Fold) -> list[np.ndarray]:
    """Fit and test a classifier; return two arrays with class numbers of the test samples: its
    decisions, and its strict decisions. Runs in a worker.

    For all classifiers but the network of memristors both decisions are the same.
    """
    # more threads take ten times as long
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        fitted = clone(task.method).fit(task.features[task.train], task.truth[task.train])
    for one in caught:
        warnings.warn(f"{task.name}: {one.message}", one.category, stacklevel=2)
    predicted = fitted.predict(task.features[task.test])
    if not isinstance(fitted, MemristiveClassifier):
        return [predicted, predicted]
    return [predicted, decide(fitted.spike_times(task.features[task.test]), RESOLUTION)[0]]


def scores(truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> Fields:
    """Return a dict with the accuracy, its 95 % interval, and the recall of each class under its
    name in `classes`. `truth` and `predicted` hold a class number for each sample.
    """
    right = predicted == truth
    return {
        "accuracy": right.mean(),
        "interval_95": interval(int(right.sum()), len(truth)),
        "recall": {str(label): right[truth == k].mean() for k, label in enumerate(classes)},
    }
