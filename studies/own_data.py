"""How well does a network of memristors learn your data? Cross-validated, beside logistic regression and an MLP of its size.

SOURCE is iris, wine, breast_cancer, digits, or a CSV file whose last column (or --label) is the class; comments above the table
and a first column without a name that numbers or names the rows are left out. Trained and tested in closed form, scaled on each
fold's training data; with --engine ngspice one held-out tenth is then tested in ngspice too, sample by sample, and with --in-situ
its network is trained there.
Writes figures/own_data_NAME_results.json and pictures, voltages/NAME_classifier.json (trained on everything) and
figures/own_data_NAME_read.cir, its netlist of one read. Seconds for iris, minutes for digits.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import plotting
from memristive.classifier.estimator import MemristiveClassifier
from memristive.classifier.feature_encoding import FeatureEncoding
from memristive.classifier.model_files import FORMAT, written
from memristive.cli.command_line import draw, file_name, make_parser, netlist_of, progress, volts, whole_number, write_netlist
from memristive.cli.kept import kept_if_stopped, save_whole, way_on
from memristive.cli.tables import BUILT_IN, Table, load_table
from memristive.io.checkpoints import AFRESH, checkpoint_path, load_checkpoint
from memristive.io.claims import NotOverwritten, claimed
from memristive.io.files import ROOT
from memristive.io.results import results_path, write_results
from memristive.io.voltages import VoltagesError, checksum
from memristive.multilayer.clipping import StagesClip
from memristive.multilayer.layer_sessions import read_in_ngspice, read_netlist
from memristive.single_layer.engines import CLOSED_FORM, ENGINES, NGSPICE
from memristive.single_layer.scores import UNDECIDED, confusion, interval, largest_deviation, spikes_within
from memristive.single_layer.spike_decoding import RESOLUTION, strict_decision
from memristive.spice.ngspice import signals_deferred as signals_held
from memristive.spice.session import NgspiceSession

FOLDS = 10
MOST_ROWS = 20000
EXAMPLES = 3  # samples of each class in the raster
SAVE_EVERY = 30.0  # s, between two checkpoints
LONGEST_NAME = 20  # characters of a class's name in a figure
OPEN = -9  # a decision that is still to come
INTERRUPTED = "Training interrupted"  # how scikit-learn's warning begins
ROUNDS = 3000  # of the MLP, at most; as a rule it ends by scikit-learn's own criterion within some hundred
MODELS = ("memristors", "logistic regression", "MLP")  # the MLP is slow: of the first repeat only


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.in_situ and options.engine != NGSPICE:
        parser.error("--in-situ trains in ngspice: it needs --engine ngspice")
    if options.label is not None and options.source in BUILT_IN:
        parser.error(f"--label names a column of a CSV file; {options.source} has its own")
    whole = load_table(options.source, options.label)
    table = whole.sampled(options.rows, options.seed)
    if len(table.labels) < len(whole.labels):
        print(f"{len(table.labels)} of {len(whole.labels)} rows are used, drawn by class; --rows {len(whole.labels)} uses all")
    model = MemristiveClassifier(options.hidden, epochs=options.epochs, dose=options.dose, random_state=options.seed)
    parameters = {"source": Path(options.source).name, "label": options.label, "repeats": options.repeats, "seed": options.seed,
                  "rows": len(table.labels), "table": table.checksum, "engine": options.engine, "in_situ": options.in_situ,
                  **{name: getattr(model, name) for name in ("hidden", "epochs", "dose", "margin", "encoding")}}
    voltages = Path(options.voltages or ROOT / "voltages" / f"{table.name}_classifier.json")
    name = f"own_data_{table.name}"
    saved = {"format": FORMAT, **model.get_params(), "classes": np.unique(table.labels),
             "low": FeatureEncoding.of(table.features, complement=True).low, "table": table.checksum}
    netlist = options.figures / f"{name}_read.cir"
    options.netlist = netlist
    with claimed([(results_path(options.figures, name), parameters), (voltages, saved)],
                 [*netlist_of(options), checkpoint_path(voltages)], options.force), _clips_in_a_line():
        _study(options, table, model, parameters, voltages, netlist, name)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__, {"--netlist": "the netlist of one read is always written beside the figures"})
    parser.add_argument("source", metavar="SOURCE", help=f"{', '.join(BUILT_IN)}, or a CSV file")
    parser.add_argument("--label", metavar="COLUMN", help="class column of a CSV file, by name or number (default: the last)")
    defaults = MemristiveClassifier()
    parser.add_argument("--hidden", type=whole_number(1, 10000), nargs="*", default=defaults.hidden, metavar="N",
                        help=f"neurons of each hidden layer; nothing for a single layer (default: {defaults.hidden})")
    parser.add_argument("--epochs", type=whole_number(1, 10**6), metavar="N",
                        help="presentations of each sample (default: 40, or as many as make 3,000 in all)")
    parser.add_argument("--repeats", type=whole_number(1, 1000), default=1, metavar="N",
                        help="cross-validations, each with other folds (default: 1)")
    parser.add_argument("--dose", type=volts(1e-6, 5.0), metavar="V", help="of the first writes (default: suits the table)")
    parser.add_argument("--seed", type=whole_number(0, 2**31 - 1), default=1, metavar="N", help="folds and starts (default: 1)")
    parser.add_argument("--rows", type=whole_number(4, 10**9), default=MOST_ROWS, metavar="N",
                        help=f"samples of a larger table that are used (default: {MOST_ROWS})")
    parser.add_argument("--engine", choices=ENGINES, default=CLOSED_FORM, help="ngspice: test one split there as well")
    parser.add_argument("--in-situ", action="store_true", help="with --engine ngspice: train it there, too (anew if stopped)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help="where the classifier goes (default: voltages/NAME_classifier.json)")
    return parser


def _study(options: argparse.Namespace, table: Table, model: MemristiveClassifier, parameters: dict[str, Any], voltages: Path,
           netlist: Path, name: str) -> None:
    checkpoint = checkpoint_path(voltages)
    found = cross_validated(table, model, options, checkpoint, parameters)
    truth = np.unique(table.labels, return_inverse=True)[1]
    results = found.results(truth)
    final = clone(model).fit(table.features, table.labels)
    voltages.parent.mkdir(parents=True, exist_ok=True)
    written(final, voltages, table=table.checksum, states=checksum(*final.network_.states))  # for the claim of the next run
    write_netlist(netlist, lambda: read_netlist(final.network_, final.encoding_.levels(table.features[:1])[0]))
    session = None
    if options.engine == NGSPICE:
        session = NgspiceSession()
        with kept_if_stopped(lambda: f"all folds are saved in {checkpoint}; {way_on(options.force)}"):
            results["ngspice"] = split_in_ngspice(table, model, options.seed, options.in_situ)
    wrote = write_results(options.figures, name, session, parameters, results)
    checkpoint.unlink(missing_ok=True)
    _print(table, results)
    print(f"wrote {wrote}\nclassifier trained on all {len(table.labels)} samples -> {voltages}")
    names = [name if len(name) <= LONGEST_NAME else f"{name[:9]}…{name[-10:]}" for name in table.classes]
    draw(options, f"{name}_confusion", plotting.confusion, confusion(truth, found.strict[0], len(names)), names,
         list(UNDECIDED.values()), "samples")
    chosen = np.concatenate([np.flatnonzero(table.labels == label)[:EXAMPLES] for label in final.classes_])
    draw(options, f"{name}_raster", raster, final.spike_times(table.features[chosen]),
         np.searchsorted(final.classes_, table.labels[chosen]), names)


@contextlib.contextmanager
def _clips_in_a_line() -> Iterator[None]:
    """Say in one line at the end, beneath all progress, that networks warned of stages that clip, and what the first said."""
    said: list[str] = []
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def kept(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, StagesClip):
                said.append(str(message))
            else:
                shown(message, category, *place)

        warnings.simplefilter("always", StagesClip)
        warnings.showwarning = kept  # type: ignore[assignment]
        try:
            yield
        finally:
            if said:
                more = f" (and so in {len(said) - 1} more of the networks trained)" if said[1:] else ""
                print(f"warning: {said[0]}{more}", file=sys.stderr)


@dataclass
class Found:
    """What the folds done so far have found, for a checkpoint; models in the order of `_models`."""

    right: np.ndarray  # models x repeats x samples, whether each was decided rightly when its fold was the test
    strict: np.ndarray  # repeats x samples, strict decisions of the memristors
    clipped: np.ndarray  # repeats x folds, share of the test fold's features outside the training data's range
    done: int = 0
    seconds: float = 0.0

    @classmethod
    def nothing(cls, repeats: int, folds: int, samples: int) -> "Found":
        """Before the first fold."""
        return cls(np.zeros((len(MODELS), repeats, samples), bool), np.full((repeats, samples), OPEN),
                   np.zeros((repeats, folds)))

    def add(self, repeat: int, fold: int, test: np.ndarray, right: np.ndarray, strict: list[int], clipped: float) -> None:
        """Take what a fold's `test` samples came to."""
        self.right[:, repeat, test], self.strict[repeat, test], self.clipped[repeat, fold] = right, strict, clipped

    def results(self, truth: np.ndarray) -> dict[str, Any]:
        """Accuracies of all folds; `truth`: the samples' class numbers."""
        accuracy = {name: _accuracy(self.right[m].mean(axis=1)[:1 if name == "MLP" else None], len(truth))
                    for m, name in enumerate(MODELS)}
        accuracy["memristors"] |= {"strict_accuracy": float((self.strict == truth).mean()),
                                   "undecided": float((self.strict < 0).mean())}
        return {"accuracy": accuracy, "samples": len(truth), "folds": self.clipped.shape[1],
                "clipped_in_test_folds": float(self.clipped.mean()), "trained_by": CLOSED_FORM, "tested_by": CLOSED_FORM,
                "seconds": self.seconds}


def cross_validated(table: Table, model: MemristiveClassifier, options: argparse.Namespace, checkpoint: Path,
                    parameters: Mapping[str, Any]) -> Found:
    """All folds of all repeats; saved in `checkpoint` from time to time and when interrupted, and gone on with if asked."""
    repeats, seed, _, truth = options.repeats, options.seed, *np.unique(table.labels, return_inverse=True)
    folds = min(FOLDS, int(np.bincount(truth).min()))
    found = Found.nothing(repeats, folds, len(truth))
    steps = [(repeat, fold, *parts) for repeat in range(repeats) for fold, parts in
             enumerate(StratifiedKFold(folds, shuffle=True, random_state=seed + repeat).split(table.features, truth))]
    if options.resume:
        found = Found(**load_checkpoint(checkpoint, parameters, vars(found)))
        found.done, found.seconds = int(found.done), float(found.seconds)
        decided = [bool((found.strict[repeat, test] != OPEN).all()) for repeat, _, _, test in steps]
        if decided != [k < found.done for k in range(len(steps))] or not found.done > 0 or not found.seconds >= 0:
            raise VoltagesError(f"{checkpoint}: says that {found.done} of {len(steps)} folds are done, which its decisions do "
                                f"not show; {AFRESH}")
    elif checkpoint.exists() and not options.force:
        raise NotOverwritten(f"{checkpoint} holds an interrupted run; --resume goes on with it, --force starts afresh")

    def save() -> str:
        if not found.done:
            return ""
        save_whole(checkpoint, vars(found), parameters)
        return f"{found.done} of {len(steps)} folds are saved in {checkpoint}; {way_on(options.force)}"

    with kept_if_stopped(save), progress(range(0), len(steps), table.name, "fold") as bar:
        _run_folds(found, steps, table, _models(model, seed), bar, save)
        save()
    return found


def _run_folds(found: Found, steps: Sequence[tuple[int, int, np.ndarray, np.ndarray]], table: Table,
               models: Mapping[str, Any], bar: "tqdm[int]", save: Callable[[], str]) -> None:
    """The folds that are not `found` yet."""
    saved = time.perf_counter()
    for repeat, fold, train, test in steps[found.done:]:
        start = time.perf_counter()
        row = _one_fold(table, models, repeat, train, test)
        with signals_held():  # a checkpoint holds a fold whole or not at all
            found.add(repeat, fold, test, *row)
            found.done, found.seconds = found.done + 1, found.seconds + time.perf_counter() - start
        bar.update(found.done - bar.n)
        tested = sum(len(step[-1]) for step in steps[:found.done])
        bar.set_postfix_str(f"memristors {found.right[0].sum() / tested:.2%}", refresh=False)
        if time.perf_counter() - saved > SAVE_EVERY:
            save()
            saved = time.perf_counter()


def _one_fold(table: Table, models: Mapping[str, Any], repeat: int, train: np.ndarray,
              test: np.ndarray) -> tuple[np.ndarray, list[int], float]:
    """What each model decided rightly (models x test samples), the memristors' strict decisions, and what was clipped."""
    right, strict, clipped = np.zeros((len(models), len(test)), bool), list[int](), 0.0
    for m, (name, estimator) in enumerate(models.items()):
        if name == "MLP" and repeat:
            continue
        fitted = clone(estimator)
        if name == "memristors":
            fitted.set_params(random_state=fitted.random_state + repeat)
        _fit(fitted, table.features[train], table.labels[train])
        right[m] = fitted.predict(table.features[test]) == table.labels[test]
        if name == "memristors":
            strict = [strict_decision(spikes, RESOLUTION) for spikes in fitted.spike_times(table.features[test])]
            clipped = fitted.clipped(table.features[test])
    return right, strict, clipped


def _fit(estimator: Any, features: np.ndarray, labels: np.ndarray) -> None:
    """Fit an estimator, or raise KeyboardInterrupt: at Ctrl-C scikit-learn's MLP warns, and goes on half trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the MLP has its `ROUNDS`, converged or not
        warnings.filterwarnings("ignore", "The number of unique classes")  # of which the table's reader has its own say
        warnings.filterwarnings("error", INTERRUPTED)
        try:
            estimator.fit(features, labels)
        except UserWarning as warning:
            if INTERRUPTED in str(warning):
                raise KeyboardInterrupt from warning
            raise


def _accuracy(values: np.ndarray, samples: int) -> dict[str, Any]:
    """Mean over repeats, with the interval that one pass over all samples gives: repeats use the same samples again."""
    mean = float(values.mean())
    return {"mean": mean, "interval_95": interval(round(mean * samples), samples), "repeats": values.tolist()}


def _models(model: MemristiveClassifier, seed: int) -> dict[str, Any]:
    """`model` and those beside it; a single layer's MLP has 100 hidden neurons."""
    sizes = model.hidden if isinstance(model.hidden, Sequence) else (model.hidden,)
    found = (model, make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
             make_pipeline(StandardScaler(), MLPClassifier(tuple(sizes) or (100,), max_iter=ROUNDS, random_state=seed)))
    return dict(zip(MODELS, found, strict=True))


def split_in_ngspice(table: Table, model: MemristiveClassifier, seed: int, in_situ: bool) -> dict[str, Any]:
    """A held-out tenth of each class, tested in ngspice and by the closed form; trained by one of them."""
    test_size = max(0.1, len(np.unique(table.labels)) / len(table.labels))
    train, test = train_test_split(np.arange(len(table.labels)), test_size=test_size, stratify=table.labels, random_state=seed)
    fitted = clone(model).set_params(random_state=seed, engine=NGSPICE if in_situ else CLOSED_FORM, verbose=int(in_situ))
    start = time.perf_counter()
    fitted.fit(table.features[train], table.labels[train])
    trained = time.perf_counter()
    images = fitted.encoding_.levels(table.features[test])
    reads = read_in_ngspice(fitted.network_, images)
    found = np.array(list(progress(reads, len(images), "testing in ngspice", "sample")))
    exact = fitted.network_.first_spikes(images)
    truth = np.searchsorted(fitted.classes_, table.labels[test])
    decided = [np.array([strict_decision(times, RESOLUTION) for times in spikes]) for spikes in (found, exact)]
    return {"trained_by": fitted.engine_, "tested_by": NGSPICE, "samples": len(test), "right": int((decided[0] == truth).sum()),
            "right_by_closed_form": int((decided[1] == truth).sum()), "same_decision": int((decided[0] == decided[1]).sum()),
            "largest_spike_deviation": largest_deviation(found, exact, fitted.network_.design.window),
            "seconds_training": trained - start, "seconds_testing": time.perf_counter() - trained}


def _print(table: Table, results: dict[str, Any]) -> None:
    print(f"{table.name}: {results['samples']} samples, {table.features.shape[1]} features, {len(table.classes)} classes; "
          f"{results['folds']} folds, trained and tested in closed form")
    print(f"{'':<20}  {'accuracy':>8}  95 % interval")
    for name, found in results["accuracy"].items():
        low, high = found["interval_95"]
        print(f"{name:<20}  {found['mean']:>8.2%}  {low:.1%} to {high:.1%}")
    memristors = results["accuracy"]["memristors"]
    print(f"strictly, undecided as wrong: {memristors['strict_accuracy']:.2%} ({memristors['undecided']:.2%} undecided); "
          f"{results['clipped_in_test_folds']:.2%} of the features in test folds were clipped")
    if "ngspice" in results:
        one = results["ngspice"]
        print(f"one split trained by {one['trained_by']}, tested in ngspice: {one['right']} of {one['samples']} right; the "
              f"closed form decides {one['same_decision']} alike, {spikes_within(one['largest_spike_deviation'])}")


def raster(spikes: np.ndarray, truth: np.ndarray, names: list[str]) -> Figure:
    """First spikes (samples x classes, s) of a few samples of class `truth`: the first one in each row decides."""
    figure, axis = plt.subplots(figsize=(8, 1.4 + 0.22 * len(spikes)))
    for j, name in enumerate(names):
        colour = plotting.COLOURS[j % len(plotting.COLOURS)]
        axis.plot(spikes[:, j] * 1e6, range(len(spikes)), linestyle="none", marker="osD^v"[j // len(plotting.COLOURS) % 5],
                  color=colour, label=name, markersize=6, clip_on=False)
    axis.set_yticks(range(len(spikes)), [names[k] for k in truth])
    axis.set(xlabel="first spike (µs after the input rises)", ylabel="sample, by its class",
             title="First spikes of the output neurons")
    axis.invert_yaxis()
    figure.legend(title="neuron", loc="outside right upper")
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
