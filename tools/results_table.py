"""The table "paper / this run": each network that MNIST is tested on, by which engine, and where the engines decide otherwise."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memristive.io.files import FileProblem, atomic_write, to_json
from memristive.io.results import load_results, results_path
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.single_layer.scores import interval

Row = tuple[str, str, str, str, str, str]
FIRST = 2000  # test images that a quick reproduction puts through ngspice as well
# Jurj 2024: train accuracies of section 4 and the MNIST test on the first 100 images.
PAPER = {"xpue": "100 %", "012345": "100 %", "mnist": "100 %", "mnist_test": "60 % (of 100)"}
AGREEMENT = "agreement"
FEW = 50  # test images of two layers that a quick reproduction puts through ngspice
FEW_LAYERED = f"first_{FEW}"  # where their results go within --figures


@dataclass(frozen=True)
class Tested:
    """A network whose MNIST test is in the table; `engine` is that of its training from errors, "" for other rules."""

    title: str
    voltages: str
    encoding: str
    engine: str = ""
    seed: int = ErrorDrivenRule.seed

    @property
    def folder(self) -> str:
        """Where its results go within --figures: those of other seeds than the usual one to a folder of their own."""
        return "" if self.seed == ErrorDrivenRule.seed else f"seed_{self.seed}"

    @property
    def first(self) -> str:
        """Where the results of its first test images in ngspice go."""
        return str(Path(f"first_{FIRST}", self.folder))

    @property
    def name(self) -> str:
        """Stem of the results of its test."""
        return self.voltages.removesuffix(f"_seed_{self.seed}").replace("mnist", "mnist_test", 1)


def _networks() -> list[Tested]:
    found = [Tested("Hebbian, strict", "mnist", "binary")]
    for encoding, ending in (("binary", ""), ("grey", "_grey")):
        found.append(Tested(f"logistic regression's weights, carried over, {encoding}", f"mnist_ex_situ{ending}", encoding))
        for engine, stem in ((NGSPICE, "error_driven"), (CLOSED_FORM, "closed_form")):
            for seed in (1, 2, 3):
                title = f"learned from errors in {'ngspice' if engine == NGSPICE else 'the closed form'}, {encoding}, seed {seed}"
                of_seed = "" if seed == ErrorDrivenRule.seed else f"_seed_{seed}"
                found.append(Tested(title, f"mnist_{stem}{ending}{of_seed}", encoding, engine, seed))
    return found


NETWORKS = _networks()


def write_agreement(folder: Path) -> None:
    """Count, for each network, the images that the two engines decide otherwise, from the tables of their tests in `folder`."""
    counts = {}
    for network in NETWORKS:
        computed = decisions(folder / network.folder / f"{network.name}_by_closed_form_decisions.csv.gz")
        simulated = decisions(_simulated(folder, network, "_decisions.csv.gz"))
        both = min(len(computed), len(simulated))
        counts[network.voltages] = {"images": both, "otherwise": int(np.sum(computed[:both] != simulated[:both]))}
    atomic_write(folder / f"{AGREEMENT}_results.json", to_json(counts))


def decisions(path: Path) -> np.ndarray:
    """The strict decisions in a test's table, as its readers see them. Raises FileProblem."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return np.array([row["decision"] for row in csv.DictReader(file)])
    except OSError as error:
        raise FileProblem(f"{path} cannot be read: {error}") from error


def _simulated(folder: Path, network: Tested, ending: str) -> Path:
    """ngspice's file on a network: of a full test where there is one, else of the first images."""
    paths = [folder / place / f"{network.name}{ending}" for place in (network.folder, network.first)]
    return next((path for path in paths if path.exists()), paths[0])


def results_table(folder: Path) -> str:
    """The table as Markdown, from the results that the scripts wrote to `folder`."""
    rows: list[Row] = [("experiment", "paper", "in ngspice", "95 % interval", "closed form", "decided otherwise"),
                       ("---",) * 6]
    for name, title in (("xpue", "XPUE, train"), ("012345", "012345, train"), ("mnist", "MNIST averages, train")):
        found = load_results(folder, f"{name}_inference")
        rows.append((f"{title}, strict", PAPER[name], f"{found['strict_accuracy']:.0%}", "", "", ""))
    hebbian = load_results(_simulated(folder, NETWORKS[0], "_results.json").parent, NETWORKS[0].name)
    computed = load_results(folder, f"{NETWORKS[0].name}_by_closed_form")
    for title, key, most, paper in (("first 100, the paper's rule", "paper_rule_first_100", 100, PAPER["mnist_test"]),
                                    ("first 100, strict", "strict_first_100", 100, ""),
                                    ("Hebbian, the paper's rule", "paper_rule_accuracy", None, "")):
        counts = [min(found["samples"], most or found["samples"]) for found in (hebbian, computed)]
        bounds = interval(round(hebbian[key] * counts[0]), counts[0])
        said = [f"{found[key]:.2%}{of_images(counts, k, most)}" for k, found in enumerate((hebbian, computed))]
        rows.append((f"MNIST test, {title}", paper, said[0], percent_range(bounds), said[1], ""))
    few = of_images((hebbian["samples"], computed["samples"]), 0)
    equal = f"{hebbian['equal_templates']:.2%}{few} (tied, or silent, by construction)"
    agreement = load_results(folder, AGREEMENT)
    for network in NETWORKS:
        rows.append(tested(folder, network, agreement))
        if network.voltages == "mnist":
            rows.append(("images whose two best templates are equal", "", equal, "", "", ""))
        if network.seed == 3:
            rows.append(mean_of_seeds(folder, network))
        if "ex_situ" in network.voltages:
            software = load_results(folder, f"{network.voltages}_training")
            accuracy, bounds = software["software_accuracy"], software["software_interval_95"]
            rows.append((f"logistic regression in software, {network.encoding}", "", f"{accuracy:.2%} (scikit-learn)",
                         percent_range(bounds), "", ""))
    rows += [layered(folder), xor(folder)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths(rows), strict=True)) + " |" for row in rows]
    return "\n".join([*lines, "", *trainings(folder), *energies(folder, hebbian)]) + "\n"


def of_images(counts: Sequence[int], k: int, wanted: int | None = None) -> str:
    """Of how many images the k-th of two numbers is, where `counts` differ, or are not as many as the row says."""
    return f" of {counts[k]}" * any(count != (wanted or counts[k]) for count in counts)


def layered(folder: Path) -> Row:
    """The row of MNIST with hidden neurons: read by ngspice all through where that was done, else the first images."""
    computed, name = load_results(folder, "layers_mnist"), "layers_in_ngspice_mnist"
    simulated = load_results(folder if (folder / f"{name}_results.json").exists() else folder / FEW_LAYERED, name)
    hidden, found = " and ".join(map(str, computed["parameters"]["hidden"])), simulated["ngspice"]
    alike = simulated["layer_by_layer_beside_closed_form"]
    return (f"MNIST test, {hidden} hidden neurons, learned in the closed form, grey, seed {computed['seed']}", "",
            undecided(found), percent_range(found["strict_interval_95"]), undecided(computed),
            f"{len(alike['decided_otherwise'])} of {alike['images']}")


def xor(folder: Path) -> Row:
    """The row of what one layer cannot."""
    found = load_results(folder, "layers_xor")
    engine, seeds = found["parameters"]["engine"], len(found["all_seeds"])
    said = f"all four right for {found['all_right']} of {seeds} seeds"
    return f"XOR, two layers, trained and tested by {engine}", "", said, "", "", ""


def both_results(folder: Path, network: Tested) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the tests of a network found, in ngspice and by the closed form."""
    simulated = _simulated(folder, network, "_results.json")
    return load_results(simulated.parent, network.name), load_results(folder / network.folder, f"{network.name}_by_closed_form")


def tested(folder: Path, network: Tested, agreement: dict[str, Any]) -> Row:
    """A network's row; undecided images count as wrong."""
    simulated, computed = both_results(folder, network)
    alike = agreement[network.voltages]
    return (f"MNIST test, {network.title}", "", undecided(simulated), percent_range(simulated["strict_interval_95"]),
            undecided(computed), f"{alike['otherwise']} of {alike['images']}")


def undecided(found: dict[str, Any]) -> str:
    """An accuracy with the images that were not decided, and how many there were."""
    return f"{found['strict_accuracy']:.2%} ({found['silent']} silent, {found['tied']} tied of {found['samples']})"


def mean_of_seeds(folder: Path, last: Tested) -> Row:
    """The mean and spread of a training's seeds, of which `last` is the last."""
    seeds = [n for n in NETWORKS if (n.engine, n.encoding) == (last.engine, last.encoding) and n.engine]
    both, cells = [both_results(folder, network) for network in seeds], []
    counts = [min(pair[k]["samples"] for pair in both) for k in range(2)]
    for k in range(2):
        found = [pair[k]["strict_accuracy"] for pair in both]
        cells.append(f"{np.mean(found):.2%}{of_images(counts, k)} (standard deviation {np.std(found, ddof=1):.2%})")
    return f"mean of {len(seeds)} seeds", "", cells[0], "", cells[1], ""


def trainings(folder: Path) -> list[str]:
    """A line on what else than the engine sets the trainings from errors apart, where their results are."""
    found = [(network, f"{network.voltages}_training") for network in NETWORKS
             if network.engine and network.seed == ErrorDrivenRule.seed]
    shown = [f"{load_results(folder, name)['presentations']:,} images {network.encoding} in "
             f"{'ngspice' if network.engine == NGSPICE else 'the closed form'}"
             for network, name in found if results_path(folder, name).exists()]
    return [f"Trainings from errors differ in more than the engine: {', '.join(shown)}, each with dose, margin and start of its "
            "own (docs/closed_form.md). The engines themselves are told apart in the last column.", ""] * bool(shown)


def energies(folder: Path, hebbian: dict[str, Any]) -> list[str]:
    """Lines on energy from the sources' currents."""
    hebbian_write = load_results(folder, "mnist_training")["write_energy"]["inputs"]
    lines = [f"Energy from the input sources, MNIST: {hebbian['read_energy']['inputs'] * 1e6:.1f} uJ for presenting one image, "
             f"{hebbian_write * 1e6:.2f} uJ for one class's Hebbian write."]
    if (folder / "mnist_error_driven_training_results.json").exists():
        trained = load_results(folder, "mnist_error_driven_training")
        write, dose = trained["write_energy"], trained["parameters"]["learning"]["dose"]
        lines.append(f"One error-driven write of the first dose (binary, {dose * 1e3:g} mV): "
                     f"{write['potentiation']['inputs'] * 1e6:.3f} uJ to potentiate a column, "
                     f"{write['depression']['inputs'] * 1e6:.3f} uJ to depress one.")
    return [*lines, "phi drives ideal switches and draws nothing; op-amps and transconductances are ideal and not counted, "
            "nor are the channels' bulk junctions in depressions, which an input at -1 V turns on (docs/circuit.md)."]


def widths(rows: Sequence[Row]) -> list[int]:
    """Width of each column."""
    return [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]


def percent_range(bounds: Sequence[float]) -> str:
    """An interval as text."""
    return f"{bounds[0]:.2%} to {bounds[1]:.2%}"
