"""Write the tables of living records in the documents, with `python -m tools.tables`.

In a document a table stands between the lines `<!-- table: NAME -->` and `<!-- end -->`. `TABLES`
has the function that returns its cells as texts.
"""

import re
from pathlib import Path

import pandas as pd
from matplotlib.ticker import EngFormatter

from memristive.commands.costs import all_ledgers
from memristive.devices.measured_device import DEVICES
from memristive.io.records import load_results, write_file
from tools.networks import RESULTS


def markdown(rows: pd.DataFrame) -> str:
    """Return `rows` of texts as an aligned Markdown table, with a space before each %."""
    lines = [
        [re.sub(r"(\d)%", r"\1 %", cell) for cell in line]
        for line in (rows.columns, *rows.fillna("").to_numpy())
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    texts = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    ]
    texts[1] = texts[1].replace(" ", "-")
    return "\n".join(texts)


def rows_of(name: str, condition: str = "") -> pd.DataFrame:
    """Return the rows of one record that meet a `condition`. A record without rows has one row.
    What a record has beside its rows is record_NAME.
    """
    record = load_results(RESULTS / f"{name}.json")
    rows = pd.json_normalize(record.pop("rows", record), sep="_")
    rows = rows.merge(pd.json_normalize(record, sep="_").add_prefix("record_"), how="cross")
    return (rows.query(condition) if condition else rows).assign(title=name)


# README: experiment, published accuracy, engines that train and test, text, record, field, and
# conditions on the rows. The text has the lowest and highest of the devices' mean values for each
# condition.
ONE, FROM_TO = (
    "{0[min]:.2%}",
    "before {0[min]:.0%} to {0[max]:.0%}, **now {1[min]:.1%} to {1[max]:.1%}**",
)
SIX = "device not in ('ideal', 'linear') and layers == {} and value == '{}'"
JUMPS = "data == 'mnist' and device == '{}' and layers == {} and late == {}"
STRICT, WAYS, PAIRED = "strict_accuracy", "devices/late_ways", "devices/one_sided"
CLOSED_FORM, READ_IN_NGSPICE, IN_NGSPICE = (
    "closed form, closed form",
    "closed form, ngspice",
    "ngspice, ngspice",
)
SHORT = [
    (
        "XPUE, the paper's rule, training patterns",
        "100%",
        IN_NGSPICE,
        ONE,
        "paper/xpue_inference",
        STRICT,
    ),
    (
        "012345, the paper's rule, training patterns",
        "100%",
        IN_NGSPICE,
        ONE,
        "paper/012345_inference",
        STRICT,
    ),
    (
        "MNIST, the paper's rule, first 100 images",
        "60% (the paper)",
        IN_NGSPICE,
        ONE,
        "one_layer/mnist_test",
        "paper_rule_first_100",
    ),
    (
        "MNIST 10x10, one layer that learns from errors",
        "92.0% (logistic regression)",
        READ_IN_NGSPICE,
        ONE,
        "one_layer/mnist_test_closed_form_grey",
        STRICT,
    ),
    (
        "MNIST 10x10, 200 hidden neurons",
        "98.1% (28x28, backpropagation [1])",
        READ_IN_NGSPICE,
        ONE,
        "layers/layers_in_ngspice_mnist",
        "record_ngspice_strict_accuracy",
    ),
    (
        "MNIST 28x28, a convolution",
        "96% (memristor chip [2])",
        CLOSED_FORM,
        ONE,
        "convolution/wide/convolution_mnist",
        STRICT,
    ),
    (
        "MNIST 10x10, 300 neurons without labels",
        "93.5% (28x28 [3])",
        READ_IN_NGSPICE,
        ONE,
        "stdp/mnist_stdp_grey_300",
        STRICT,
        "engine == 'ngspice'",
    ),
    (
        "MNIST 10x10, six published devices, one layer",
        "",
        CLOSED_FORM,
        FROM_TO,
        WAYS,
        STRICT,
        SIX.format(1, "rounded"),
        SIX.format(1, "late"),
    ),
    (
        "MNIST 20x20, six published devices, 100 hidden",
        "10 to 92% (NeuroSim [4])",
        CLOSED_FORM,
        FROM_TO,
        WAYS,
        STRICT,
        SIX.format(2, "rounded"),
        SIX.format(2, "late"),
    ),
    (
        "MNIST 10x10, TaOx cells that jump up",
        "",
        CLOSED_FORM,
        "before {0[min]:.0%}, **now {1[min]:.1%}**",
        PAIRED,
        STRICT,
        JUMPS.format("taox", 1, False),
        JUMPS.format("taox", 1, True),
    ),
    (
        "MNIST 8x8, filaments behind gates, 54 hidden",
        "91.7% (memristor chip [5])",
        CLOSED_FORM,
        ONE,
        "devices/gate_commit",
        STRICT,
        "size == 8 and series == 'usual' and way == 'with a step'",
    ),
]


def short_rows() -> pd.DataFrame:
    """Return the rows of the README's table."""
    rows = []
    for experiment, published, engines, text, name, field, *conditions in SHORT:
        tables = [rows_of(name, condition) for condition in conditions or [""]]
        means = [one.groupby(one.get("device", one.title))[field].mean() for one in tables]
        text = text.format(*(one.agg(["min", "max"]) for one in means))
        rows.append((experiment, published, text, *engines.split(", ")))
    heading = ["experiment", "published", "this circuit", "trained in", "tested in"]
    return pd.DataFrame(rows, columns=heading)


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


def commands_rows() -> pd.DataFrame:
    """Return a row for each experiment of docs/reproducing.md, with links to its records."""
    rows = []
    for number, (experiment, names) in enumerate(EXPERIMENTS.items(), 1):
        links = []
        for name in names:
            shares = 100 * rows_of(name)[STRICT]
            shown = f"{shares.mean():.2f}% ± {shares.std():.2f}".removesuffix(" ± nan")
            links.append(f"[{shown}](../results/{name}.json)")
        rows.append({"": str(number), "experiment": experiment, "result": ", ".join(links)})
    return pd.DataFrame(rows)


JOULES, SECONDS = (EngFormatter(unit, places=1) for unit in ("J", "s"))
COSTS = {  # records of `memristive costs`
    "XPUE, the paper's rule": "xpue",
    "MNIST, one layer": "mnist_closed_form_grey",
    "MNIST, 200 hidden": "layers_mnist",
    "the same, 20 times faster": "layers_mnist_faster_20",
    "MNIST, convolution": "convolution_mnist",
    "EpiRAM, one layer": "epiram_100000",
    "EpiRAM, one layer, late": "device_epiram_1_late",
    "EpiRAM, 400-100-10": "device_epiram_2",
    "EpiRAM, 400-100-10, late": "device_epiram_2_late",
    "Ta/HfO2, 1T1R, one layer": "gate_li-1t1r",
}


def costs_rows() -> pd.DataFrame:
    """Return a row for each record of costs: energies, times and area as text."""
    rows, drawn = [], all_ledgers(RESULTS / "costs")
    for title, name in COSTS.items():
        record = load_results(RESULTS / f"costs/costs_{name}.json")
        row = {"network": title, "accuracy": f"{record['shorter'][0][STRICT]:.1%}"}
        row["area, mm²"] = f"{1e6 * sum(record['area_m2'].values()):.3g}"
        for kind, words in (
            ("inference", ("an inference: pins", "all parts", "time")),
            ("training", ("a training: pins", "training: all parts", "training: time")),
        ):
            if ledger := drawn[name].get(kind):
                sums = JOULES(ledger.sum(pins=True)), JOULES(ledger.sum())
                row |= zip(words, (*sums, SECONDS(ledger.duration)), strict=True)
        rows.append(row)
    return pd.DataFrame(rows)


def preset_rows() -> pd.DataFrame:
    """Return a row for each published device."""
    return pd.DataFrame(
        {
            "device": one.name,
            "pulses up, down": f"{one.pulses(True):.0f}, {one.pulses(False):.0f}",
            "steps up": f"{one.up[0]:.2%} to {one.up[-1]:.2%}",
            "steps down": f"{one.down[-1]:.2%} to {one.down[0]:.2%}",
            "on/off": f"{one.on_off_ratio:.3g}",
            "noise: write, read": f"{one.write_noise:.1%}, {one.read_noise:.1%}",
        }
        for one in DEVICES.values()
    )


TABLES = {
    "short_results": short_rows,
    "commands": commands_rows,
    "device_presets": preset_rows,
    "costs": costs_rows,
}


def write_tables(path: Path) -> bool:
    """Replace the tables in a Markdown file; return True if this changed the file."""
    before = path.read_text(encoding="utf-8")
    after = re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{markdown(TABLES[match[2]]())}\n\n{match[3]}",
        before,
        flags=re.DOTALL,
    )
    if after != before:
        write_file(path, after)
    return after != before


def main() -> None:
    """Write the tables of README and docs/."""
    for path in [Path("README.md"), *sorted(Path("docs").glob("*.md"))]:
        if write_tables(path):
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
