"""A circuit that learns by itself: STDP without a teacher (docs/stdp.md).

--data xpue or 012345: one ngspice transient in which the circuit alone, no Python and no labels, gives each pattern a neuron
of its own; --seeds runs more, each with its own start states and order. Writes figures/stdp_NAME_weights.png,
stdp_NAME_winners.png, for XPUE the animation stdp_xpue.gif, and stdp_NAME_results.json. About 3 s a seed for XPUE, 10 s for
012345. --netlist writes the circuit of the first seed, which learns and prints what it learned in `ngspice -b` alone.
--data mnist: the closed form of the same circuit learns the training images without labels, ngspice reads the test images; its
options: --data mnist --help.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from memristive.cli.command_line import (
    Parser,
    add_quantities,
    draw,
    make_parser,
    netlist_of,
    quantities,
    warn,
    whole_number,
    write_netlist,
)
from memristive.cli.kept import kept_if_stopped
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.results import load_results, results_path, write_results
from memristive.spice.session import NgspiceSession
from memristive.stdp.pattern_learning import (
    Learned,
    Trial,
    Unsupervised,
    batch_netlist,
    doubts,
    foretold,
    learn,
    thresholds,
    trial,
    unsupervised_digits,
    unsupervised_xpue,
    weak_inhibition,
)
from memristive.stdp.stdp_circuit import SILENT
from studies import unsupervised_mnist as stdp_mnist
from studies.unsupervised_figures import save_animation, weights_over_time, winners_and_thresholds

TASKS = {"xpue": unsupervised_xpue, "012345": unsupervised_digits}
REFUSED = {"--voltages": "the states learned go into the results file"}


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    # The data decide which options there are and their defaults, so they are looked up first.
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--data", nargs="?", default="xpue")  # what is missing is told by the full parser, in one line
    data = chosen.parse_known_args(arguments)[0].data
    task = TASKS[data]() if data in TASKS else None
    parser = make_parser(__doc__, REFUSED if task else {"--netlist": "a network of thousands of cells; --data xpue has one"})
    parser.add_argument("--data", choices=[*TASKS, "mnist"], default="xpue", help="what is to be learned (default: xpue)")
    if task is None:
        stdp_mnist.add_options(parser)
        stdp_mnist.main(parser.parse_args(arguments))
    else:
        _add_options(parser, task)
        options = parser.parse_args(arguments)
        patterns(options, _as_asked(task, options))


def _add_options(parser: Parser, task: Unsupervised) -> None:
    """The options for patterns, with the defaults of `task`."""
    parser.add_argument("--neurons", type=whole_number(1, 1000), default=len(task.patterns), metavar="N",
                        help="neurons (default: one a pattern)")
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), default=1, metavar="S",
                        help="of start states, order, flips and spread (default: 1)")
    parser.add_argument("--seeds", type=whole_number(1, 1000), default=1, metavar="K",
                        help="run K seeds, from --seed on (default: 1)")
    parser.add_argument("--presentations", type=whole_number(1, 100000), default=task.presentations, metavar="N",
                        help=f"images presented in the transient (default: {task.presentations})")
    parser.add_argument("--spread", type=share, default=0.0, metavar="X",
                        help="log-normal spread, device to device, of cells and thresholds, 0 to 1 (default: 0)")
    parser.add_argument("--flipped", type=share, default=0.0, metavar="X",
                        help="share of pixels flipped at each presentation, 0 to 1 (default: 0)")
    for parameters, names in _open_quantities(task):
        add_quantities(parser, parameters, names)


def _open_quantities(task: Unsupervised) -> list[tuple[Any, list[str] | None]]:
    """The parameter objects that have options, and the names of those of their quantities that do (None: all)."""
    design = task.design
    return [(design.network.memristor, ["transconductance", "leak_resistance"]),
            (design.network.neuron, ["feedback_resistance", "threshold"]), (design.schedule, ["pulse", "period"]),
            (design.learning, None)]


def share(text: str) -> float:
    """Argument type: a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1, got {text}")
    return number


def _as_asked(task: Unsupervised, options: argparse.Namespace) -> Unsupervised:
    """`task` with the options' values. Raises ParameterError for a circuit that could not learn."""
    memristor, neuron, schedule, learning = (quantities(parameters, vars(options)) for parameters, _ in _open_quantities(task))
    network = dataclasses.replace(task.design.network, memristor=memristor, neuron=neuron)
    design = dataclasses.replace(task.design, network=network, schedule=schedule, learning=learning)
    return dataclasses.replace(task, design=design, presentations=options.presentations)


def patterns(options: argparse.Namespace, task: Unsupervised) -> None:
    """Let the circuit learn patterns, once a seed; print, draw and keep what came of it."""
    seeds = range(options.seed, options.seed + options.seeds)
    drawn = [trial(task, options.neurons, seed, options.spread, options.flipped) for seed in seeds]
    name = f"stdp_{task.dataset.name}" + "_spread" * bool(options.spread) + "_flipped" * bool(options.flipped)
    made_with = {"dataset": task.dataset.name, "dual_rail": task.dual_rail, "start_states_V": list(task.start),
                 "design": task.design.as_dict(), "neurons": options.neurons, "presentations": task.presentations,
                 "spread": options.spread, "flipped": options.flipped, "seed": options.seed, "seeds": options.seeds}
    path, alike = results_path(options.figures, name), list[int | None]()
    with claimed([(path, made_with)], netlist_of(options), options.force), \
            kept_if_stopped(lambda: _kept(options.figures, name, len(alike), options.seeds)), \
            earlier_kept(options.figures, name, lambda results: results["runs"]):
        write_netlist(options.netlist, lambda: batch_netlist(task, drawn[0]))
        print(f"{task.dataset.name}: {options.neurons} neurons, {drawn[0].states.shape[1]} inputs, {task.presentations} "
              f"presentations in one transient of {task.design.schedule.stop(task.presentations):g} s")
        session = NgspiceSession()
        warn(weak_inhibition(task.design))

        def keep(runs: list[Learned]) -> None:
            alike.append(_same_winners(foretold(task, drawn[len(alike)]), runs[-1]))
            write_results(options.figures, name, session, made_with, _results(seeds[:len(runs)], runs, alike))
        runs = _runs(session, task, drawn, keep)
        print(f"wrote {path}")
    _print_table(task, seeds, runs, alike)
    warn(next(filter(None, (doubts(task, one.images, run) for one, run in zip(drawn, runs, strict=True))), ""))
    draw(options, f"{name}_weights", weights_over_time, runs[0], task.dataset)
    draw(options, f"{name}_winners", winners_and_thresholds, runs[0], task.dataset, thresholds(task, drawn[0]))
    if name == "stdp_xpue":
        print(f"wrote {save_animation(runs[0], task.dataset, options.figures, name)}")


def _kept(folder: Path, name: str, done: int, seeds: int) -> str:
    """What to say of the results of a run that ended early, once it is decided whether an earlier run's stay."""
    if not done:
        return ""
    there = load_results(folder, name)["runs"]
    return f"{there} of {seeds} seeds{' of an earlier run' * (there > done)} are kept in {results_path(folder, name)}"


def _runs(session: NgspiceSession, task: Unsupervised, drawn: list[Trial],
          keep: Callable[[list[Learned]], None]) -> list[Learned]:
    """All trials, one after the other, behind a bar that shows how many seeds got it right; `keep` gets all so far each time."""
    runs: list[Learned] = []
    bar: tqdm[Any]
    with tqdm(total=float(len(drawn)), desc="learning", unit="seed", delay=2.0, dynamic_ncols=True, leave=False, disable=None,
              bar_format="{l_bar}{bar}| {n:.1f}/{total:.0f} seeds [{elapsed}<{remaining}{postfix}]") as bar:
        for one in drawn:
            runs.append(learn(session, task, one, lambda done: _advance(bar, len(runs) + done)))
            keep(runs)
            bar.set_postfix_str(f"each its own neuron: {sum(r.each_its_own for r in runs)} of {len(runs)}")
    return runs


def _advance(bar: "tqdm[Any]", done: float) -> None:
    bar.update(done - bar.n)


def _same_winners(expected: np.ndarray | None, found: Learned) -> int | None:
    """In how many presentations the neuron fired first that was expected to; None where nothing was."""
    return None if expected is None else int(np.sum(expected == found.winners))


def _results(seeds: range, runs: list[Learned], alike: list[int | None]) -> dict[str, Any]:
    """What the runs came to, as plain numbers; the states are the first run's."""
    return {"all_seeds": list(seeds), "each_its_own": sum(r.each_its_own for r in runs), "runs": len(runs),
            "owners": [r.owners for r in runs], "purity": [r.purity for r in runs],
            "states_V": runs[0].states[-1], "homeostasis_V": runs[0].homeostasis[-1], "same_winners_as_closed_form": alike}


def _print_table(task: Unsupervised, seeds: range, runs: list[Learned], alike: list[int | None]) -> None:
    """One line a seed: the owner of each pattern, the share of the last presentations that the owners won, and in how many of
    all presentations the closed form had foretold the winner.
    """
    print("  seed  " + "  ".join(f"{label:>3}" for label in task.dataset.labels)
          + "   own neuron   won by the owner   winner as by the closed form")
    for seed, one, same in zip(seeds, runs, alike, strict=True):
        owners = "  ".join(f"{'-' if owner == SILENT else owner:>3}" for owner in one.owners)
        print(f"{seed:>6}  {owners}   {_whose(one):<10}   {one.purity:>16.1%}   "
              + ("-" if same is None else f"{same} of {len(one.winners)}"))
    each = sum(r.each_its_own for r in runs)
    print(f"every pattern owned by a neuron of its own: {each} of {len(runs)} seeds; the owners won "
          f"{np.mean([r.purity for r in runs]):.1%} of the last presentations")


def _whose(one: Learned) -> str:
    if len(set(one.order.tolist())) < one.patterns:
        return "not shown"
    return "each" if one.each_its_own else "silent" if np.all(one.owners == SILENT) else "shared"


if __name__ == "__main__":
    sys.exit(run(main))
