"""Tables of docs/costs.md as Markdown, from the records of `memristive costs`."""

from collections.abc import Iterator
from typing import Any

from matplotlib.ticker import EngFormatter

from memristive.accounting.costs import duration
from memristive.commands.costs import all_ledgers
from memristive.io.records import load_results
from memristive.ledger import ASSUMED, Ledger
from tools.markdown import markdown
from tools.networks import RESULTS

# records of `memristive costs` and titles
COSTS = {
    "xpue": "XPUE, the paper's rule",
    "mnist_closed_form_grey": "MNIST, one layer",
    "layers_mnist": "MNIST, 200 hidden",
    "layers_mnist_faster_20": "the same, 20 times faster",
    "layers_mnist_one_by_one": "the same, columns one by one",
    "convolution_digits": "digits, convolution",
    "convolution_mnist": "MNIST, convolution",
    "epiram_100000": "EpiRAM, one layer",
    "device_epiram_1_late": "EpiRAM, one layer, late",
    "device_epiram_2": "EpiRAM, 400-100-10",
    "device_epiram_2_late": "EpiRAM, 400-100-10, late",
    "gate_li-1t1r": "Ta/HfO2, 1T1R, one layer",
}
JOULES, SECONDS, WATTS = (EngFormatter(unit, places=1) for unit in ("J", "s", "W"))


def _records() -> Iterator[tuple[str, dict[str, Any], dict[str, Ledger]]]:
    """Yield for each network its title, its record, and its ledgers by kind ("inference", "error"
    ...).
    """
    ledgers = all_ledgers(RESULTS / "costs")
    for name, title in COSTS.items():
        yield title, load_results(RESULTS / f"costs/costs_{name}.json"), ledgers[name]


def costs_table() -> str:
    """Return the table of what an inference costs."""
    rows = [
        (
            title,
            f"{record['shorter'][0]['strict_accuracy']:.1%}",
            JOULES(ledgers["inference"].sum(pins=True)),
            JOULES(ledgers["inference"].sum() - ledgers["inference"].sum(kind=ASSUMED)),
            JOULES(ledgers["inference"].sum()),
            WATTS(_bias(ledgers["inference"]) / record["times_s"]["inference"]["read"]),
            SECONDS(record["times_s"]["inference"]["read"]),
            f"{1e6 * sum(record['area_m2'].values()):.3g}",
        )
        for title, record, ledgers in _records()
        if "one by one" not in title
    ]
    return markdown(
        (
            "network",
            "accuracy",
            "at the pins",
            "known parts",
            "all parts",
            "amplifiers' bias",
            "time",
            "area, mm²",
        ),
        rows,
    )


def _bias(ledger: Ledger) -> float:
    """Return the energy in J that the bias currents of amplifiers take."""
    return sum(line.joules for line in ledger.lines if "amplifiers, bias" in line.name)


def costs_learning_table() -> str:
    """Return the table of what an error and a training cost."""
    rows = []
    for title, record, ledgers in _records():
        times, training, error = record["times_s"], ledgers.get("training"), ledgers.get("error")
        wear = record.get("wear")
        if not training and not error:
            continue
        rows.append(
            (
                title,
                JOULES(error.sum(pins=True)) if error else "",
                JOULES(error.sum()) if error else "",
                SECONDS(duration(times["error"])) if error else "",
                f"{record['errors']:,}" if training else "",
                JOULES(training.sum(pins=True)) if training else "",
                JOULES(training.sum()) if training else "",
                SECONDS(duration(times["training"])) if training else "",
                f"{wear['mean']:,.0f} / {wear['most']:,.0f}" if wear else "",
            )
        )
    return markdown(
        (
            "network",
            "an error: pins",
            "all parts",
            "time",
            "errors",
            "a training: pins",
            "all parts",
            "time",
            "pulses a cell, mean/most",
        ),
        rows,
    )
