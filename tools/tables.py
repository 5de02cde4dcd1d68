"""Write all tables in the documents, from the records in results/ and the defaults of parameters,
with `python -m tools.tables`.

Each function NAME_table returns a table as Markdown text. In a document the table stands between
the lines `<!-- table: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from memristive.io.records import load_results, load_table, write_file
from studies.sweeps import WAITS
from tools import cost_tables, device_tables
from tools.markdown import markdown, percent, spread
from tools.networks import NETWORKS, ONE_LAYER, RESULTS, in_ngspice

PAPER = {"xpue": "100%", "012345": "100%", "mnist": "100%", "test": "60%"}  # Jurj 2024, section 4
MNIST_TESTS = 10_000  # test images


def patterns_row(name: str, title: str) -> tuple[str, str, str]:
    """Return a table's row for reads of the training patterns: title, the paper's accuracy,
    ngspice's accuracy.
    """
    accuracy = load_results(RESULTS / f"paper/{name}_inference.json")["strict_accuracy"]
    return f"{title}, training patterns", PAPER[name], percent(accuracy)


def results_table() -> str:
    """Return the table of results of all networks of one layer on MNIST in ngspice."""
    title, paper, accuracy = patterns_row("mnist", "MNIST")
    rows: list[tuple[str, ...]] = [
        (f"{title} (paper: {paper})", accuracy, "", ""),
        (
            "Hebbian, the paper's rule",
            percent(load_results(in_ngspice(NETWORKS[0]))["paper_rule_accuracy"]),
            "",
            "",
        ),
    ]
    agreement = load_results(ONE_LAYER / "agreement.json")
    for title in dict.fromkeys(network.title for network in NETWORKS):
        networks = [network for network in NETWORKS if network.title == title]
        cells = {"binary": "", "grey": ""}
        for encoding in dict.fromkeys(network.encoding for network in networks):
            records = [
                load_results(in_ngspice(network))
                for network in networks
                if network.encoding == encoding
            ]
            found, samples = (
                [record["strict_accuracy"] for record in records],
                records[0]["samples"],
            )
            part = f" of {samples:,}" if samples < MNIST_TESTS else ""
            cells[encoding] = (spread(found) if len(found) > 1 else percent(found[0])) + part
        images, otherwise = (
            sum(agreement[network.name][key] for network in networks)
            for key in ("images", "otherwise")
        )
        rows.append((title[0].upper() + title[1:], *cells.values(), f"{otherwise} of {images:,}"))
    software = (
        load_results(ONE_LAYER / f"mnist_ex_situ{ending}_training.json")["software_accuracy"]
        for ending in ("", "_grey")
    )
    rows.append(("Logistic regression in software", *map(percent, software), ""))
    return markdown(
        ("experiment (MNIST, strict unless noted)", "binary", "grey", "decided differently"), rows
    )


def short_results_table() -> str:
    """Return the README's table: strict accuracies of the main experiments beside published ones of
    the same kind.
    """
    tests = {
        name: load_results(in_ngspice(network))
        for network in NETWORKS
        for name in [network.name]
        if name in ("mnist", "mnist_closed_form_grey")
    }
    hidden = load_results(RESULTS / "layers/layers_in_ngspice_mnist.json")["ngspice"]
    unlabelled = load_table(RESULTS / "stdp/mnist_stdp_grey_300.json").set_index("engine")
    kernels = load_table(RESULTS / "convolution/convolution_mnist.json").strict_accuracy
    gates = load_table(RESULTS / "devices/gate_commit.json")
    ways = load_table(RESULTS / "devices/late_ways.json")
    published = ways[~ways.device.isin(["ideal", "linear"])]  # two presets are no devices
    means = 100 * published.groupby(["layers", "value", "device"]).strict_accuracy.mean()

    def learned(layers: int) -> str:
        ranges = [means.loc[layers, way].agg(["min", "max"]) for way in ("rounded", "late")]
        return "before {:.0f} to {:.0f}%, **now {:.1f} to {:.1f}%**".format(*ranges[0], *ranges[1])

    pairs = load_table(RESULTS / "devices/one_sided.json")
    jumping = 100 * pairs.groupby(["data", "device", "layers", "late"]).strict_accuracy.mean()
    jumps = [jumping["mnist", "taox", 1, late] for late in (False, True)]
    coarse = jumping["mnist", "generic-pcm", 2, True]

    small = gates[(gates["size"] == 8) & (gates.series == "usual") & (gates.way == WAITS)]
    rows = [
        patterns_row("xpue", "XPUE, the paper's rule"),
        patterns_row("012345", "012345, the paper's rule"),
        (
            "MNIST, the paper's rule, first 100 images",
            "60% (the paper)",
            percent(tests["mnist"]["paper_rule_first_100"]),
        ),
        (
            "MNIST 10x10, one layer that learns from errors",
            "92.0% (logistic regression)",
            percent(tests["mnist_closed_form_grey"]["strict_accuracy"]),
        ),
        (
            "MNIST 10x10, 200 hidden neurons",
            "98.1% (28x28, backpropagation [1])",
            percent(hidden["strict_accuracy"]),
        ),
        (
            "MNIST 28x28, a convolution",
            "96% (memristor chip [2])",
            percent(float(kernels.mean())),
        ),
        (
            "MNIST 10x10, 300 neurons without labels",
            "93.5% (28x28 [3])",
            percent(unlabelled.strict_accuracy["ngspice"]),
        ),
        ("MNIST 10x10, six published devices, one layer", "", learned(1)),
        (
            "MNIST 20x20, six published devices, 100 hidden",
            "10 to 92% (NeuroSim [4])",
            learned(2),
        ),
        (
            "MNIST 10x10, TaOx cells that jump up",
            "",
            f"before {jumps[0]:.0f}%, **now {jumps[1]:.1f}%**",
        ),
        (
            "MNIST 20x20, coarse phase change, 100 hidden",
            "",
            f"**{coarse:.1f}%**",
        ),
        (
            "MNIST 8x8, filaments behind gates, 54 hidden",
            "91.7% (memristor chip [5])",
            percent(float(small.strict_accuracy.mean())),
        ),
    ]
    return markdown(("experiment", "published", "this circuit"), rows)


def layers_table() -> str:
    """Return the table of accuracies of multilayer networks on MNIST and Fashion-MNIST."""
    rows, titles = (
        [],
        {
            "mnist": "MNIST",
            "mnist_shifted": "MNIST and copies shifted by a pixel",
            "fashion": "Fashion-MNIST",
        },
    )
    for name in (
        "layers/seeds/layers_mnist",
        "layers/seeds/layers_mnist_14x14",
        "layers/seeds/layers_mnist_shifted_14x14",
        "fashion/one_layer/layers_fashion",
        "fashion/layers_fashion",
        "fashion/600_hidden/layers_fashion_14x14",
    ):
        record = load_results(RESULTS / f"{name}.json")
        parameters, found = record["parameters"], [row["strict_accuracy"] for row in record["rows"]]
        hidden, (side, _) = "-".join(map(str, parameters["hidden"])), parameters["shape"]
        layers = f"{hidden} hidden" if hidden else "one layer"
        rows.append((f"{titles[parameters['dataset']]}, {side}x{side}, {layers}", spread(found)))
    return markdown(("training set, grey images, network", "accuracy"), rows)


def gradient_rules_table() -> str:
    """Return the table of accuracies on digits by the local rule and by rules that are nearer to
    the exact gradient.
    """
    found = load_table(RESULTS / "layers/gradient_rules.json")
    accuracies = found.groupby(["layers", "start", "rule"]).strict_accuracy.agg(list)
    rules = found.rule.unique()
    rows = [
        (
            layers,
            start,
            *(
                spread(accuracies[layers, start, rule])
                if (layers, start, rule) in accuracies.index
                else ""
                for rule in rules
            ),
        )
        for start in found.start.unique()
        for layers in found.layers.unique()
        if (layers, start, "local") in accuracies.index
    ]
    return markdown(("hidden layers", "start", *rules), rows)


def layers_in_ngspice_table() -> str:
    """Return the table of reads of multilayer networks in ngspice beside the closed form."""
    rows = []
    for title, name in (
        ("10x10, 200 hidden", "layers/layers_in_ngspice_mnist"),
        ("10x10, 200-100 hidden", "layers/layers_in_ngspice_mnist_200_100"),
        ("14x14, 300 hidden", "layers/layers_in_ngspice_mnist_shifted_14x14"),
        ("Fashion-MNIST, 10x10, 200 hidden", "fashion/layers_in_ngspice_fashion"),
    ):
        record = load_results(RESULTS / f"{name}.json")
        outputs = [
            row
            for row in record["rows"]
            if row["compared_with"] == "closed form" and row["read"] == "layer by layer"
        ][-1]
        rows.append(
            (
                title,
                f"{outputs['images']:,}",
                percent(record["ngspice"]["strict_accuracy"]),
                outputs["decided_differently"],
                f"{outputs['largest_difference_s'] * 1e6:.2f}",
            )
        )
    return markdown(
        ("network", "images", "accuracy", "decided differently", "spikes differ by at most, us"),
        rows,
    )


def convolution_table() -> str:
    """Return the table of accuracies of convolutions."""
    rows: list[tuple[str, ...]] = []
    titles = {
        "mnist": "MNIST",
        "mnist_shifted": "MNIST and copies shifted by a pixel",
        "fashion": "Fashion-MNIST",
        "digits": "digits, 8x8",
    }
    for path in sorted((RESULTS / "convolution").rglob("convolution_*.json")):
        record = load_results(path)
        parameters = record["parameters"]
        if "weights" not in parameters or parameters["held_out"]:
            continue
        of, found = parameters["convolution"], pd.DataFrame(record["rows"])
        cells = parameters["device"] or "emulators"
        if parameters["device"]:
            late = "late" if parameters["pulses"]["late"] else "rounded"
            cells += f", {late}, {found.pulses_a_cell.mean():,.0f} pulses a cell"
        rows.append(
            (
                titles[parameters["dataset"]],
                cells,
                f"{parameters['hidden'][0]} of {of['window']}x{of['window']}",
                f"{of['regions']}x{of['regions']}",
                f"{parameters['weights']:,}",
                f"{parameters['learning']['presentations']:,}",
                spread(list(found.strict_accuracy)),
            )
        )
    rows.sort(key=lambda row: row[0])  # stable: emulators stay above devices
    return markdown(
        ("images", "cells", "kernels", "regions", "weights", "presentations", "accuracy"), rows
    )


def convolution_choices_table() -> str:
    """Return the table of accuracies of convolutions of digits that differ in one choice. Choices
    that are compared with another one have the difference and its test.
    """
    path = RESULTS / "convolution/convolution_choices_digits.json"
    compared = {row["change"]: row for row in load_results(path)["comparisons"]}
    table, rows = load_table(path), []
    names = ["change", "kernels", "window", "regions", "weights"]
    for (change, kernels, window, regions, weights), found in table.groupby(names, sort=False):
        shape = f"{kernels} of {window}x{window}, {regions}x{regions}" if window else ""
        tested = compared_cells(compared.get(change))
        accuracy = spread(list(found.strict_accuracy))
        rows.append((change or "none", shape, f"{weights:,}", accuracy, *tested))
    heading = (
        "change",
        "kernels, regions",
        "weights",
        "accuracy",
        "compared with",
        "difference",
        "p",
    )
    return markdown(heading, rows)


def compared_cells(row: dict[str, Any] | None) -> tuple[str, str, str]:
    """Return the cells of a comparison of choices: the other choice, the mean difference in points
    with its standard deviation, and Holm's p. `row`: as `convolution_choices.comparisons` returns
    it, None for no comparison.
    """
    if row is None:
        return "", "", ""
    p = "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"
    difference = f"{100 * row['difference']:+.2f} ± {100 * row['std']:.2f}"
    return row["against"] or "none", difference, p


def closed_form_range_table() -> str:
    """Return the table of the differences between both engines over all parameters, for each
    network: points without a doubt, and points that are doubted.
    """
    rows = load_table(ONE_LAYER / "closed_form_range.json")
    rows["doubted"], rows["ns"] = rows.doubts.map(bool), 1e9 * rows.difference_s
    found = []
    for network, points in rows.groupby("network", sort=False):
        compared = points[points.ns.notna()]
        sure, doubted = compared.ns[~compared.doubted], compared.ns[compared.doubted]
        found.append(
            (
                str(network),
                f"{len(compared)} of {len(points)}",
                f"{len(sure)}: {sure.median():.2g}, {sure.max():.3g} ns",
                f"{len(doubted)}: {doubted.min():.2g} to {doubted.max():.2g} ns",
            )
        )
    return markdown(("network", "compared", "no doubt: median, most", "doubted"), found)


def chips_stuck_table() -> str:
    """Return the table of mean accuracies in % of the paper's layer with stuck cells."""
    record = load_results(RESULTS / "chips/imperfect_chips.json")
    rows = pd.DataFrame(record["rows"])
    rows = rows[rows.section == "stuck"].set_index(["encoding", "route", "stuck_share"])
    shares = rows.index.unique("stuck_share")
    found = [
        (
            encoding,
            route,
            f"{100 * record['ideal'][encoding]:.1f}",
            *(f"{100 * rows.accuracy_mean[encoding, route, share]:.1f}" for share in shares),
        )
        for encoding in record["ideal"]
        for route in ("in situ", "ex situ")
    ]
    heading = ("images", "weights", "none", *(f"{100 * share:.0f} % stuck" for share in shares))
    return markdown(heading, found)


def device_spread_table() -> str:
    """Return the table of what layers of measured devices lose on chips whose devices differ."""
    found = load_table(RESULTS / "chips/device_spread.json")
    accuracy = 100 * found.pivot_table("strict_accuracy", ["device", "way", "seed"], "spread")
    loss = accuracy.sub(accuracy[0.0], axis=0).drop(columns=0.0).groupby(["device", "way"])
    mean, error = loss.mean(), loss.sem()
    cases = [(way, float(spread)) for way in ("rounded", "late") for spread in map(str, mean)]
    rows = [
        (
            device,
            *(f"{mean[s][device, way]:+.1f} +- {error[s][device, way]:.1f}" for way, s in cases),
        )
        for device in mean.index.unique("device")
    ]
    return markdown(("device", *(f"{way}, {100 * s:.0f} %" for way, s in cases)), rows)


def chips_circuits_table() -> str:
    """Return the table of mean accuracies in % of carried and learned weights on chips whose
    devices differ, with the leads and weights that explain them.
    """
    record = load_results(RESULTS / "chips/imperfect_circuits.json")
    accuracies = (
        pd.DataFrame(record["rows"])
        .set_index(["circuit", "deviation", "route", "spread"])
        .accuracy_mean.sort_index()
    )
    spreads = accuracies.index.unique("spread")

    def found(*case: str) -> str:
        return "/".join(f"{100 * accuracies[(*case, spread)]:.0f}" for spread in spreads)

    rows = [
        (
            circuit,
            percent(race["lead"], 1),
            "/".join(percent(race[f"moved_by_{kind}"], 1) for kind in ("neurons", "cells")),
            percent(race["weight"], 0),
            f"{100 * record['ideal'][circuit]:.0f}",
            found(circuit, "neurons", "ex situ"),
            found(circuit, "cells", "ex situ"),
            found(circuit, "both", "ex situ"),
            found(circuit, "both", "in situ"),
        )
        for circuit, race in record["race"].items()
    ]
    return markdown(
        (
            "circuit",
            "lead",
            "moved by 1 % of neurons/cells",
            "weight",
            "ideal chip",
            "ex situ: neurons",
            "cells",
            "both",
            "in situ: both",
        ),
        rows,
    )


def stdp_table() -> str:
    """Return the table of the numbers of seeds that give each pattern a neuron of its own, without
    a teacher.
    """
    rows = []
    for ending, title in (
        ("", "ideal"),
        ("_spread", "spread 10 %"),
        ("_flipped", "10 % of pixels flipped"),
        ("_spread_flipped", "both"),
    ):
        tables = [
            load_table(RESULTS / f"stdp/stdp_{name}{ending}.json") for name in ("xpue", "012345")
        ]
        rows.append(
            (title, *(f"{int(table.one_to_one.sum())} of {len(table)}" for table in tables))
        )
    return markdown(("devices and inputs", "XPUE: seeds that succeed", "012345"), rows)


def stdp_mnist_table() -> str:
    """Return the table of accuracies on MNIST without labels."""
    rows = []
    for neurons in (100, 300):
        tables = pd.concat(
            [
                load_table(RESULTS / f"stdp/mnist_stdp_grey_{neurons}{ending}.json")
                for ending in ("", "_seed_2", "_seed_3")
            ]
        )
        computed = tables[tables.engine == "closed-form"].strict_accuracy.tolist()
        simulated = tables[tables.engine == "ngspice"].strict_accuracy.tolist()
        rows.append((neurons, spread(computed), percent(simulated[0])))
    return markdown(("neurons", "three seeds, closed form", "seed 1, ngspice"), rows)


# experiments of docs/reproducing.md, whose commands stand there, and their records
EXPERIMENTS = {
    "XPUE, or 012345, training patterns": ("paper/xpue_inference", "paper/012345_inference"),
    "MNIST, Hebbian, strict": ("one_layer/mnist_test",),
    "MNIST, errors, binary, or `--encoding grey`": (
        "one_layer/mnist_test_error_driven",
        "one_layer/mnist_test_error_driven_grey",
    ),
    "MNIST, errors, binary, 600,000 presentations": ("one_layer/mnist_test_closed_form",),
    "MNIST, errors, grey, 600,000 presentations": ("one_layer/mnist_test_closed_form_grey",),
    "weights of logistic regression, grey": ("one_layer/mnist_test_ex_situ_grey",),
    "a chip of 10 % spread, 12,000 presentations": ("one_layer/mnist_test_error_driven_grey_chip",),
    "10x10 grey, 200 hidden, 3 seeds": ("layers/seeds/layers_mnist",),
    "14x14 grey, 300 hidden, shifted copies": ("layers/seeds/layers_mnist_shifted_14x14",),
    "digits, 20 splits, 100 hidden": ("layers/seeds/layers_digits",),
    "XOR, 10 seeds": ("layers/layers_xor",),
}


def commands_table() -> str:
    """Return the table of experiments with their results, linked to the records."""

    def linked(name: str) -> str:
        record = load_results(RESULTS / f"{name}.json")
        if record.get("networks_without_mistakes"):
            of = f"{record['networks_without_mistakes']} of {len(record['rows'])}"
            return f"[{of} without mistakes](../results/{name}.json)"
        rows = record.get("rows", [record])
        return f"[{spread([row['strict_accuracy'] for row in rows])}](../results/{name}.json)"

    return markdown(
        ("", "experiment", "result"),
        [
            (number, what, ", ".join(map(linked, names)))
            for number, (what, names) in enumerate(EXPERIMENTS.items(), 1)
        ],
    )


# Correct images, all images, energy in J of a test image, of the training.
# Best entries in November 2026: Delta rule with 1.67 uF and with 16 uF.
CONTEST = {
    "mnist10": (93, 500, 27.0879e-6, 737.352e-3),
    "mnist017": (134, 150, 9.86249e-6, 67.9689e-3),
}
TRANSISTORS = {"mnist10": "ten digits", "mnist017": "0, 1 and 7", "xpue": "XPUE"}


def _learners() -> dict[str, dict[str, Any]]:
    """Return the existing records of the learners of transistors by task."""
    paths = {task: RESULTS / f"transistors/transistor_{task}.json" for task in TRANSISTORS}
    return {task: load_results(path) for task, path in paths.items() if path.exists()}


def transistors_contest_table() -> str:
    """Return the table of accuracies and energies in the contest's tasks, of this circuit and of
    the contest's best entries.
    """

    def row(task: str, name: str, correct: int, images: int, *joules: float) -> tuple[str, ...]:
        return (
            TRANSISTORS[task],
            name,
            f"{percent(correct / images)} ({correct}/{images})",
            *(
                f"{float(f'{energy * 10**shift:.3g}'):,g}"
                for energy, shift in zip(joules, (9, 6), strict=True)
            ),
        )

    rows = []
    for task, record in _learners().items():
        if task in CONTEST:
            rows += [
                row(
                    task,
                    "this circuit",
                    record["correct"],
                    record["images"],
                    record["inference_J_per_image"],
                    record["training_J"],
                ),
                row(task, "contest's best, November 2026", *CONTEST[task]),
            ]
    return markdown(
        ("task", "circuit", "correct", "nJ for a test image", "µJ for the training"), rows
    )


def transistors_checks_table() -> str:
    """Return the table of checks of the circuits for the contest, a column for each task:
    accuracies of the law, controls, and the run with half of the time step.
    """
    found: dict[str, dict[str, str]] = {}
    tasks = {task: record for task, record in _learners().items() if task in CONTEST}
    for task, record in tasks.items():
        law = record["law"]
        checks = {
            "accuracy by the law": percent(law["accuracy"]),
            "decisions as in ngspice": percent(law["decided_as_ngspice"], 1),
            "five orders of the images, law": spread(law["orders"]),
            "labels permuted, five times, law": spread(law["permuted_labels"]),
        }
        path = RESULTS / f"transistors/transistor_{task}_permuted.json"
        if path.exists():
            checks["labels permuted, ngspice"] = percent(load_results(path)["accuracy"])
        path = RESULTS / f"transistors/transistor_{task}_half_step.json"
        if path.exists():
            halved = zip(record["predictions"], load_results(path)["predictions"], strict=True)
            changed = sum(one != other for one, other in halved)
            checks["half of the time step: changed predictions"] = str(changed)
        for name, value in checks.items():
            found.setdefault(name, {})[task] = value
    return markdown(
        ("check", *(TRANSISTORS[task] for task in tasks)),
        [(name, *(values.get(task, "") for task in tasks)) for name, values in found.items()],
    )


def transistors_mismatch_table() -> str:
    """Return the table of accuracies in % of learned and carried weights on chips of which one part
    differs.
    """
    table = load_table(RESULTS / "transistors/transistor_mismatch.json")
    table = table[table.spread.isin(["ideal", "50 mV"])].assign(
        part=table.part.where(table.spread != "ideal", "none")
    )
    means = (
        table.groupby(["part", "task"], sort=False)[["learned_on_chip", "carried_to_chip"]]
        .mean()
        .mul(100)
        .round(1)
    )
    cells = (means.learned_on_chip.map(str) + "/" + means.carried_to_chip.map(str)).unstack(
        sort=False
    )
    return markdown(
        ("part that differs", *(TRANSISTORS[str(task)] for task in cells)),
        cells.reset_index().to_numpy().tolist(),
    )


TABLES: dict[str, Callable[[], str]] = {
    name.removesuffix("_table"): function
    for module in (sys.modules[__name__], cost_tables, device_tables)
    for name, function in vars(module).items()
    if name.endswith("_table")
}


def write_tables(path: Path) -> bool:
    """Replace the tables in a Markdown file; return True if this changed the file."""
    before = path.read_text(encoding="utf-8")
    after = re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}",
        before,
        flags=re.DOTALL,
    )
    if after != before:
        write_file(path, after)
    return after != before


def main() -> None:
    """Write the tables of README, docs/ and transistors/."""
    for path in [
        Path("README.md"),
        Path("transistors/README.md"),
        *sorted(Path("docs").glob("*.md")),
    ]:
        if write_tables(path):
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
