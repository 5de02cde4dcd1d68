"""XPUE training: a 4 x 9 crossbar of memristors learns four 3x3 symbols in one ngspice transient
(Jurj 2024, section 3).

Read it from top to bottom, change a number, run it again. The trainings of 012345 and MNIST make
the same steps. Writes voltages/xpue.json, results/paper/xpue_training.json and figures/xpue_*.png
in about 3 s.

--patterns FILE trains your own letters, one class each: a text file with a line for each, its rows
in 0 and 1 and then its name ("101 010 101 X"). Writes own/FILE.json, for
XPUE_memristive_inference.py --voltages. The feedback resistor follows from the patterns.

With --silicon gf180mcu every part is a foundry's transistors, about 5 s (docs/silicon.md).
With --alone that chip also decides on its writes, about 90 s.
"""

from datasets import Dataset, xpue
from memristive.cli import paper, script
from memristive.learning.hebbian import train_hebbian
from memristive.network.design import Schedule, Setup
from memristive.progress import progress
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

# The paper's device, neuron and pulses, in SI units. Every parameter that is not given here has a
# default.
MEMRISTOR = MemristorParameters(transconductance=5e-9)
NEURON = NeuronParameters(feedback_resistance=1e3, threshold=4.0)
SCHEDULE = Schedule(pulse=5e-3, period=15e-3, input_voltage=1.0, phi_voltage=1.2)


def main(arguments: list[str] | None = None) -> None:
    """Train on X, +, U and =, one pattern for each class, pixels from 0 to 1."""
    train(xpue(), Setup(MEMRISTOR, NEURON, SCHEDULE), __doc__, arguments)


def train(
    dataset: Dataset, setup: Setup, description: str | None, arguments: list[str] | None
) -> None:
    """Train a crossbar on the patterns of a dataset, save, print, plot. `description` is the text
    of --help.
    """
    # 1. Data and circuit, with the changes of the options: --set, --patterns, --device.
    task = paper.training_task(dataset, setup, description, arguments)
    if task is None:
        return  # --silicon has trained a chip of transistors
    patterns, labels, shape = task.dataset.patterns, task.dataset.labels, task.dataset.shape

    # 2. Train. While class j's pattern is at the rows, only phi_j is high, so only column j is
    #    written.
    training = train_hebbian(
        task.setup, patterns, watch=lambda runs: progress(runs, len(patterns), "training", "class")
    )
    setup, time, states = training.setup, training.time, training.states

    # 3. Save. The states X, the voltages of the memory capacitors, are the weights.
    task.save(training)

    # 4. Print and plot.
    import plotting  # here, because --help needs no matplotlib

    script.print_training(setup, labels, patterns, states)
    on, over_time = patterns.ravel() > 0, training.states_over_time
    for name, figure in (
        ("inputs", plotting.pulses(time, training.inputs, "input")),
        ("controls", plotting.pulses(time, training.controls, "control", labels)),
        ("states", plotting.memristor_states(time, over_time, labels, on, setup.state_quantity)),
        ("trained", plotting.weight_images(states, shape, labels, setup.state_quantity)),
    ):
        plotting.save(figure, task.figures / f"{task.stem}_{name}.png")


if __name__ == "__main__":
    script.run(main)
