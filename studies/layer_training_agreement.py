"""Does ngspice teach layers as the closed form does? A stretch of a training, every read, back-read and write a transient.

A network is trained in closed form for --after presentations of a run of --presentations; then ngspice goes on for --stretch of
them. Beside it runs the closed form: once freely, from the same start, and once in step, from the states that ngspice had before
each presentation. Prints which errors were found alike and how far the states are apart; writes
figures/layers_in_step_DATA_results.json. For MNIST (grey 10x10, 100 hidden neurons, 500 presentations) some minutes.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import sys
from typing import Any

import numpy as np

from memristive.cli.command_line import add_quantities, make_parser, progress, quantities, whole_number
from memristive.io.claims import claimed
from memristive.io.results import results_path, write_results
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, presentation_order, train
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.ngspice_trainer import LayeredTeacher
from memristive.spice.parameters import ParameterError
from memristive.spice.session import NgspiceSession
from studies.layer_experiments import TASKS, LayeredData, LayeredPlan, refuse_idle, warn_of_layers


def apart(one: LayeredNetwork, other: LayeredNetwork, before: LayeredNetwork, on: bool = True) -> list[float]:
    """The largest difference of states in V, layer by layer: of cells that conduct in both networks, and did `before`, or if
    not `on` of the others, of whose writes the closed form knows nothing.
    """
    threshold = one.parameters.memristor.threshold_voltage
    return [float(np.abs(a - b).max(initial=0.0, where=(np.minimum(np.minimum(a, b), was) > threshold) == on))
            for a, b, was in zip(one.states, other.states, before.states, strict=True)]


def advance(learning: LayeredLearning, rule: LayeredRule, data: LayeredData, until: int) -> LayeredLearning:
    """The training at presentation `until`, in closed form; the given one stays as it is."""
    result = dataclasses.replace(learning, history=learning.history.copy())
    block = until if result.done == 0 else 1
    steps = train(result, rule, data.images, data.labels, block)
    while result.done < until:
        next(steps)
    return result


def beyond_margin(network: LayeredNetwork, rule: LayeredRule, data: LayeredData, done: int) -> float:
    """By how much in s the label's neuron leads by more than the margin, at the presentation after `done` (closed form)."""
    image = presentation_order(rule, len(data.images), done, done + 1)[0]
    times, label = network.first_spikes(data.images[image][None])[0], int(data.labels[image])
    others = np.nanmin(np.append(np.delete(times, label), np.inf))
    return float(others - times[label] - rule.margin)


def compare(start: LayeredLearning, rule: LayeredRule, data: LayeredData, stretch: int,
            session: NgspiceSession) -> dict[str, Any]:
    """Go on from `start` for `stretch` presentations in ngspice, and in closed form beside it; what was found."""
    circuit = dataclasses.replace(start, history=start.history.copy())
    teacher = LayeredTeacher(session, start.network, rule, data.images, data.labels)
    otherwise: list[dict[str, float]] = []
    steps, steps_off = ([[0.0] * len(start.network.states)] for _ in range(2))
    with progress(range(stretch), stretch, "teaching", "image") as bar:
        for _ in bar:
            before, done = circuit.network, circuit.done
            beside = advance(circuit, rule, data, done + 1)
            teacher.present(circuit)
            if not np.array_equal(circuit.history[done], beside.history[done]):
                otherwise.append({"presentation": done, "beyond_margin": beyond_margin(before, rule, data, done)})
            else:
                steps.append(apart(circuit.network, beside.network, before))
                steps_off.append(apart(circuit.network, beside.network, before, on=False))
            bar.set_postfix(wrote=int(circuit.history[start.done:, 1].sum()), otherwise=len(otherwise), refresh=False)
    free, stretched = advance(start, rule, data, circuit.done), slice(start.done, circuit.done)
    moved = [float(np.abs(a - b).max()) for a, b in zip(circuit.network.states, start.network.states, strict=True)]
    return {"presentations": stretch, "wrote": int(circuit.history[stretched, 1].sum()),
            "answered_right": int(circuit.history[stretched, 0].sum()), "in_step_otherwise": otherwise,
            "in_step_volts_apart": np.max(steps, axis=0).tolist(), "in_step_volts_apart_off": np.max(steps_off, axis=0).tolist(),
            "free_otherwise": int((circuit.history[stretched] != free.history[stretched]).any(axis=1).sum()),
            "free_volts_apart": apart(circuit.network, free.network, start.network),
            "free_volts_apart_off": apart(circuit.network, free.network, start.network, on=False), "volts_moved": moved}


def make_step_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = make_parser(__doc__, {"--netlist": "studies.layers writes the netlist of a read"})
    parser.add_argument("--data", choices=list(TASKS), default="mnist", help="what is learned (default: mnist)")
    parser.add_argument("--hidden", type=whole_number(1, 10000), nargs="+", metavar="N", default=[100],
                        help="neurons of each hidden layer (default: 100)")
    parser.add_argument("--after", type=whole_number(0, 10**9), metavar="N", default=20_000,
                        help="presentations before, in closed form (default: 20000)")
    parser.add_argument("--stretch", type=whole_number(1, 10**9), metavar="N", default=500,
                        help="presentations in ngspice (default: 500)")
    add_quantities(parser, LayeredRule(presentations=60_000))
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_step_parser()
    options = parser.parse_args(arguments)
    refuse_idle(parser, options, options.hidden)
    task = TASKS[options.data]
    rule = quantities(dataclasses.replace(task.rule, presentations=60_000), vars(options))
    if options.after + options.stretch > rule.presentations:
        raise ParameterError(f"--after and --stretch must be within --presentations, got {options.after} and {options.stretch} "
                             f"of {rule.presentations}")
    plan, session = LayeredPlan(task, rule, tuple(options.hidden)), NgspiceSession()
    data, name = plan.data(), f"layers_in_step_{task.name}"
    used = {**plan.as_dict(), "after": options.after, "stretch": options.stretch}
    with claimed([(results_path(options.figures, name), used)], [], options.force):
        learning = LayeredLearning.begin(plan.begin(data), rule)
        start = advance(learning, rule, data, options.after)
        warn_of_layers(start.network, data.images)
        found = compare(start, rule, data, options.stretch, session)
        wrote = write_results(options.figures, name, session, used, found)
    report(found)
    print(f"wrote {wrote}")


def report(found: dict[str, Any]) -> None:
    """Print what was found."""
    def millivolts(volts: list[float]) -> str:
        return ", ".join(f"{1e3 * value:.3g}" for value in volts) + " mV layer by layer"
    print(f"{found['presentations']} presentations: {found['answered_right']} answered right, {found['wrote']} wrote; states "
          f"moved by up to {millivolts(found['volts_moved'])}")
    otherwise = len(found["in_step_otherwise"])
    print(f"in step: {otherwise} answered or wrote otherwise than the closed form from the same states"
          + f"; after the others states were at most {millivolts(found['in_step_volts_apart'])} apart"
          * (otherwise < found["presentations"]))
    if max(found["in_step_volts_apart_off"]) > 0:
        print(f"but for cells that do not conduct, which ngspice writes otherwise (docs/closed_form.md): at most "
              f"{millivolts(found['in_step_volts_apart_off'])} apart")
    for case in found["in_step_otherwise"]:
        print(f"presentation {case['presentation']}: in closed form the right neuron's lead is "
              f"{1e9 * case['beyond_margin']:.0f} ns beyond the margin")
    print(f"both free: {found['free_otherwise']} otherwise; at the end states were at most "
          f"{millivolts(found['free_volts_apart'])} apart")


if __name__ == "__main__":
    sys.exit(run(main))
