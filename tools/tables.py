"""Write the tables of living records in the documents, with `python -m tools.tables`.

In a document a table stands between the lines `<!-- table: NAME -->` and `<!-- end -->`. A `Table`
of `TABLES` groups the rows of records. Each cell is a format string over a group: its means (`x`),
`x_std`, `x_sum`, `count`, and the first value of what is no number.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.ticker import EngFormatter

from memristive.commands.costs import all_ledgers
from memristive.devices.measured_device import DEVICES
from memristive.io.records import load_results, write_file
from tools.networks import RESULTS

ACCURACY = "{percent:.2f}% ± {percent_std:.2f}"  # without the deviation of a single value
NOISES = "{write_noise:.1%}, {read_noise:.1%}"


class Table(NamedTuple):
    """Rows of records, grouped by columns.

    `cells` has the format of a cell for each heading. A heading with fields, such as "{device}",
    stands for as many columns as the fields have values.
    """

    rows: Callable[[], pd.DataFrame]
    by: str
    cells: Mapping[str, str]

    def __str__(self) -> str:
        rows, by = self.rows(), self.by.split()
        lines, headings = dict[tuple[object, ...], dict[str, str]](), dict[str, None]()
        if "strict_accuracy" in rows:
            rows["percent"] = 100 * rows.strict_accuracy
        for heading, text in self.cells.items():
            across = [name for _, name, _, _ in Formatter().parse(heading) if name]
            for _, group in rows.groupby(by + across, sort=False, dropna=False):
                values = summary(group)
                line = lines.setdefault(tuple(values[name] for name in by), {})
                cell = text.format(**values).replace(" ± nan", "")
                line[heading.format(**values)] = "" if "nan" in cell else cell
                headings[heading.format(**values)] = None
        return markdown(
            list(headings), [[line.get(name, "") for name in headings] for line in lines.values()]
        )


def summary(group: pd.DataFrame) -> dict[Any, Any]:
    """Return the values of a group by their names in cells: see the module."""
    numbers = group.select_dtypes(["number", "bool"]).astype(float)
    values = group.iloc[0].to_dict() | numbers.mean().to_dict() | {"count": len(group)}
    values |= numbers.sum(min_count=1).add_suffix("_sum").to_dict()
    return values | numbers.std().add_suffix("_std").to_dict()


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return `heading` and `rows` as an aligned Markdown table, with a space before each %."""
    heading, *rows = ([re.sub(r"(\d)%", r"\1 %", cell) for cell in row] for row in (heading, *rows))
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in (heading, *rows)
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def records(titles: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of several records, whose titles and names are given, with the column
    `title`. A record without rows has one row. What a record has beside its rows is record_NAME.
    """
    tables = []
    for title, name in titles.items():
        record = load_results(RESULTS / f"{name}.json")
        rows = pd.json_normalize(record.pop("rows", record), sep="_")
        whole = pd.json_normalize(record, sep="_").add_prefix("record_")
        tables.append(rows.merge(whole, how="cross").assign(title=title))
    return pd.concat(tables, ignore_index=True)


def rows_of(name: str, condition: str = "") -> pd.DataFrame:
    """Return the rows of one record that meet a `condition`."""
    rows = records({name: name})
    return (rows.query(condition) if condition else rows).copy()


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
        "convolution/convolution_mnist",
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
        rows.append((experiment, published, *engines.split(", "), text))
    return pd.DataFrame(rows, columns=["experiment", "published", "trained", "tested", "text"])


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
        rows.append({"number": number, "experiment": experiment, "results": ", ".join(links)})
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
        for kind, ledger in drawn[name].items():
            row[f"{kind}_pins"] = JOULES(ledger.sum(pins=True))
            row[kind] = JOULES(ledger.sum())
            row[f"{kind}_time"] = SECONDS(ledger.duration)
        row["area"] = f"{1e6 * sum(record['area_m2'].values()):.3g}"
        rows.append(row)
    return pd.DataFrame(rows)


LATE = {True: "late", False: "rounded"}


def convolution_rows() -> pd.DataFrame:
    """Return the rows of the trained convolutions."""
    titles = {
        "fashion": "Fashion-MNIST",
        "mnist": "MNIST",
        "mnist_shifted": "MNIST and copies shifted by a pixel",
    }
    names = [f"convolution/{path.stem}" for path in (RESULTS / "convolution").glob("conv*.json")]
    rows = records({name: name for name in sorted(names)})
    rows = rows[rows.record_parameters_held_out.eq(False)]
    late = rows.record_parameters_pulses_late.map(LATE.get)
    pulses = rows.groupby("title").pulses_a_cell.transform("mean")
    pulses = pulses.map("{:,.0f} pulses a cell".format)
    cells = rows.record_parameters_device + ", " + late + ", " + pulses
    rows = rows.assign(cells=cells.where(rows.pulses_a_cell.notna(), "emulators"))
    name = "record_parameters_dataset"
    rows = rows[rows[name].isin(titles)].sort_values(
        name, key=lambda values: values.map(list(titles).index), kind="stable"
    )
    return rows.assign(**{name: rows[name].map(titles)})


KERNELS = "{record_parameters_hidden[0]} of {record_parameters_convolution_window:.0f}x"
TABLES = {
    "short_results": Table(
        short_rows,
        "experiment",
        {
            "experiment": "{experiment}",
            "published": "{published}",
            "this circuit": "{text}",
            "trained in": "{trained}",
            "tested in": "{tested}",
        },
    ),
    "commands": Table(
        commands_rows,
        "number",
        {"": "{number:.0f}", "experiment": "{experiment}", "result": "{results}"},
    ),
    "layers": Table(
        lambda: records(
            {
                "MNIST, 10x10, 200 hidden": "layers/seeds/layers_mnist",
                "MNIST, 14x14, 300 hidden": "layers/seeds/layers_mnist_14x14",
                "the same and copies shifted by a pixel": "layers/seeds/layers_mnist_shifted_14x14",
                "Fashion-MNIST, 10x10, one layer": "fashion/one_layer/layers_fashion",
                "Fashion-MNIST, 10x10, 200 hidden": "fashion/layers_fashion",
                "Fashion-MNIST, 14x14, 600 hidden": "fashion/600_hidden/layers_fashion_14x14",
            }
        ),
        "title",
        {"training set, grey images, network": "{title}", "accuracy": ACCURACY},
    ),
    "convolution": Table(
        convolution_rows,
        "title cells",
        {
            "images": "{record_parameters_dataset}",
            "cells": "{cells}",
            "kernels": KERNELS + "{record_parameters_convolution_window:.0f}",
            "weights": "{record_parameters_weights:,.0f}",
            "accuracy": ACCURACY,
        },
    ),
    "device_presets": Table(
        lambda: pd.DataFrame(
            {
                **vars(one),
                **{"first_up": one.up[0], "last_up": one.up[-1]},
                **{"first_down": one.down[-1], "last_down": one.down[0]},
                **{"pulses_up": one.pulses(True), "pulses_down": one.pulses(False)},
                "ratio": one.on_off_ratio,
            }
            for one in DEVICES.values()
        ),
        "name",
        {
            "device": "{name}",
            "pulses up, down": "{pulses_up:.0f}, {pulses_down:.0f}",
            "steps up": "{first_up:.2%} to {last_up:.2%}",
            "steps down": "{first_down:.2%} to {last_down:.2%}",
            "on/off": "{ratio:.3g}",
            "noise: write, read": NOISES,
        },
    ),
    "costs": Table(
        costs_rows,
        "network",
        {
            "network": "{network}",
            "accuracy": "{accuracy}",
            "area, mm²": "{area}",
            "an inference: pins": "{inference_pins}",
            "all parts": "{inference}",
            "time": "{inference_time}",
            "a training: pins": "{training_pins}",
            "training: all parts": "{training}",
            "training: time": "{training_time}",
        },
    ),
}


def write_tables(path: Path) -> bool:
    """Replace the tables in a Markdown file; return True if this changed the file."""
    before = path.read_text(encoding="utf-8")
    after = re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{TABLES[match[2]]}\n\n{match[3]}",
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
