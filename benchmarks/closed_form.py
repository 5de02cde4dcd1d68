"""Time the closed form: testing 10,000 images and learning from errors, one layer and two. About a minute.

Writes its table into docs/performance.md. CPU seconds of this process, medians of three, without compiling the online read.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import dataclasses
import resource
import statistics
import sys
import time
from functools import partial

import numpy as np

from benchmarks.report import markdown, options_of, put
from datasets import encode, load_mnist
from memristive.cli.experiments import mnist_experiment
from memristive.multilayer.layer_network import LayeredLearning, train
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.error_rule import Teacher, begin
from studies.layer_experiments import TASKS, LayeredPlan

CASES = ((10, "binary"), (10, "grey"), (28, "binary"), (28, "grey"))
LAYERS = ((10, 200), (14, 300))  # grey, with so many hidden neurons
PRESENTATIONS = 20000
ROUNDS = 3


def measure(size: int, encoding: str) -> tuple[float, float]:
    """CPU s for testing 10,000 images, and presentations a CPU s while learning."""
    experiment = mnist_experiment(size, encoding)
    arrays = load_mnist("x_test", "y_test")
    images, labels = encode(arrays["x_test"], size, encoding), arrays["y_test"]
    rule = dataclasses.replace(experiment.rule, presentations=PRESENTATIONS)
    crossbar = Crossbar.of(experiment.network, experiment.schedule)
    engine = ClosedFormEngine(experiment.network, experiment.schedule, 10, size**2)
    states = np.full((10, size**2), rule.start_state) + np.random.default_rng(1).normal(0, 0.02, (10, size**2))
    engine.spikes(states, images[0], 1)  # compiles
    tests, rates = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        crossbar.first_spikes(states, images)
        tests.append(time.process_time() - start)
        learning = begin(rule, 10, size**2)
        start = time.process_time()
        for _ in Teacher(engine, rule, images, labels).presentations(learning):
            pass
        rates.append(PRESENTATIONS / (time.process_time() - start))
    return statistics.median(tests), statistics.median(rates)


def measure_layers(size: int, hidden: int) -> tuple[float, float]:
    """The same for two layers, from their start, where most presentations write."""
    task = TASKS["mnist"]
    plan = LayeredPlan(task, dataclasses.replace(task.rule, presentations=PRESENTATIONS), (hidden,), size)
    data = plan.data()
    tests, rates = [], []
    for compiling in (True, *[False] * ROUNDS):
        learning = LayeredLearning.begin(plan.begin(data), plan.rule)
        start = time.process_time()
        for _ in train(learning, plan.rule, data.images, data.labels):
            pass
        learned = time.process_time()
        learning.network.first_spikes(data.test_images)
        if not compiling:
            rates.append(PRESENTATIONS / (learned - start))
            tests.append(time.process_time() - learned)
    return statistics.median(tests), statistics.median(rates)


def main(arguments: list[str] | None = None) -> int:
    """Measure all cases and write the table."""
    options_of(__doc__).parse_args(arguments)
    rows = []
    cases = [(f"{size}x{size} {encoding}", partial(measure, size, encoding)) for size, encoding in CASES]
    cases += [(f"{size}x{size} grey, {hidden} hidden", partial(measure_layers, size, hidden)) for size, hidden in LAYERS]
    for name, case in cases:
        test, rate = case()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append((name, f"{test:.2f}", f"{rate:.0f}", f"{60000 / rate:.1f}", f"{peak:.0f}"))
        print(*rows[-1], flush=True)
    table = markdown(("images", "10,000 tested/s", "presentations a s", "60,000 learned/s", "peak/MB"), rows)
    print(table)
    put("closed form", f"CPU time of one process, medians of {ROUNDS}.\n\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
