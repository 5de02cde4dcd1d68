"""A pattern that may stand anywhere, learned wholly in ngspice by a convolution
(docs/convolution.md).

Each 8x8 image shows one of four patterns of 3x3 pixels (two bars, two corners) at one of 36 places.
The networks learn from every second place, as on a chessboard, and are tested at the other places.
A dense layer learns the places that it has seen; a kernel sees the same window wherever the pattern
stands. With --engine ngspice, ngspice simulates the reads of all patches, the back-reads and the
writes of the first convolution. Writes results/convolution/convolution_anywhere.json, with dense
networks in closed form beside it, and voltages/convolution_anywhere.json. In ngspice two minutes on
one core, in closed form seconds.
"""

import dataclasses
from pathlib import Path

import numpy as np

from memristive.cli.script import (
    Record,
    apply_settings,
    make_parser,
    print_rows,
    progress,
    run,
)
from memristive.engines.engine import read
from memristive.io.records import check_overwriting
from memristive.io.voltages import describe_network, save_voltages
from memristive.learning.build import BACK_VOLTAGE, initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.design import CLOSED_FORM, NGSPICE, Convolution, LayerDesign
from memristive.network.networks import Network
from memristive.scores.decisions import strict_decision

PATTERNS = ("010 010 010", "000 111 000", "100 100 111", "111 001 001")
SIDE, KERNELS = 8, 8
DESIGN = LayerDesign(hidden_bias=0.5, output_bias=1.3, window=600e-6, back_voltage=BACK_VOLTAGE)
RULE = LayeredRule(
    presentations=600,
    hidden_dose=0.2,
    output_dose=0.1,
    margin=20e-6,
    start_drive=0.8,
    start_drive_spread=0.8,
    start_weight=0.0,
    start_weight_spread=0.3,
)
# dense networks with more weights, which no settings help
DENSE = ((), (8,))
DENSE_RULE = LayeredRule(presentations=6000, start_drive_spread=0.8)


def main(arguments: list[str] | None = None) -> None:
    """Train, test at places that were not seen, and compare with dense networks."""
    parser = make_parser(__doc__, "convolution")
    parser.add_common("--engine", CLOSED_FORM)
    parser.add_common("--seeds", 5, "in closed form; the first one is trained by the engine")
    options = parser.parse_args(arguments)
    design, rule = apply_settings(options, design=DESIGN, rule=RULE)
    path = Path("voltages/convolution_anywhere.json")
    images, labels, seen = scenes(SIDE)

    def start(seed: int) -> Network:
        return initial_network(
            (KERNELS,),
            len(PATTERNS),
            images[seen],
            dataclasses.replace(rule, seed=seed),
            design,
            convolution=Convolution(SIDE, SIDE, window=3, regions=1, bias_level=1.0),
        )

    made = describe_network("anywhere", (SIDE, SIDE), start(rule.seed), rule, options.engine)
    check_overwriting(path, made, options.force)
    record = Record(options, "convolution_anywhere", {**made, "seeds": options.seeds}, [path])

    # 1. The convolution on the engine, tested by the same engine.
    with progress(range(0), rule.presentations, "learning", "image") as bar:

        def watched(steps):  # type: ignore[no-untyped-def]
            for done, accuracy in steps:
                bar.update(done - bar.n)
                yield done, accuracy

        trained = learn(
            start(rule.seed),
            rule,
            images[seen],
            labels[seen],
            engine=options.engine,
            watch=watched,
        ).network
    save_voltages(path, trained.states, ngspice=options.engine == NGSPICE, overwrite=True, **made)
    rows = [row_of(trained, options.engine, rule.seed, options.engine)]

    # 2. The same in closed form for several seeds, and dense networks.
    for seed in range(rule.seed, rule.seed + options.seeds):
        seeded = dataclasses.replace(rule, seed=seed)
        network = learn(start(seed), seeded, images[seen], labels[seen]).network
        rows.append(row_of(network, CLOSED_FORM, seed))
        for hidden in DENSE:
            dense_rule = dataclasses.replace(DENSE_RULE, seed=seed)
            dense = initial_network(hidden, len(PATTERNS), images[seen], dense_rule)
            rows.append(
                row_of(
                    learn(dense, dense_rule, images[seen], labels[seen]).network, CLOSED_FORM, seed
                )
            )

    # 3. Save, print.
    record.write({"rows": rows}, ngspice=options.engine == NGSPICE)
    print_rows(rows)


def scenes(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (n x inputs, `side` x `side` pixels) of all patterns at all places, their
    classes, and for each image True if it is for training.
    """
    images, labels, seen = list[np.ndarray](), list[int](), list[bool]()
    for label, drawing in enumerate(PATTERNS):
        pattern = np.array([[float(pixel) for pixel in row] for row in drawing.split()])
        for top, left in np.ndindex(side - 2, side - 2):
            image = np.zeros((side, side))
            image[top : top + 3, left : left + 3] = pattern
            images.append(image.ravel())
            labels.append(label)
            seen.append((top + left) % 2 == 0)
    return np.array(images), np.array(labels), np.array(seen)


def row_of(
    network: Network, trained: str, seed: int, engine: str = CLOSED_FORM
) -> dict[str, object]:
    """Return a row of the record: strict accuracies of a network at seen and at new places, its
    name and its number of weights. `trained` is the engine that trained it, `engine` the one that
    reads.
    """
    images, labels, seen = scenes(SIDE)
    spikes = read(network, images, engine, wanted=2)
    right = np.array([strict_decision(times) for times in spikes]) == labels
    return {
        "trained_by": trained,
        "seed": seed,
        "network": _name(network),
        "weights": sum(layer.neurons * layer.rows for layer in network.layers),
        "seen": float(right[seen].mean()),
        "new": float(right[~seen].mean()),
    }


def _name(network: Network) -> str:
    if network.convolution:
        return f"{KERNELS} kernels of 3x3"
    return f"dense, {network.sizes[1]} hidden" if len(network.states) > 1 else "dense, one layer"


if __name__ == "__main__":
    run(main)
