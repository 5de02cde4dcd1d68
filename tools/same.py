"""Does a change leave every number as it was?

`python -m tools.same COMMIT` (or `make same`) trains, reads and writes out small networks of each
kind in this checkout and in a commit, and compares the bytes of spikes, states and netlists of both
engines. A minute or two, mostly to compile both.

Cases use the public names only, so that commits with other folders can be compared.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from memristive.parameters import Fields

ROOT = Path(__file__).parents[1]
# Options of `build`, by kind. CHIP stands for a chip with deviations of cells and neurons.
CHIP = "chip"
OPTIONS: dict[str, Fields] = {
    "paper's layer": {},
    "paper's layer on a chip": {CHIP: True},
    "emulators, hidden": {"hidden": 5},
    "emulators, two hidden, chip": {"hidden": (5, 4), CHIP: True},
    "pairs": {"device": "epiram"},
    "two pairs, hidden, chip": {"device": "taox-tio2", "pairs": 2, "hidden": 5, CHIP: True},
    "reference column": {"device": "epiram", "pairs": 0},
    "late": {"device": "ag-si", "late": True},
    "late, hidden, chip": {"device": "pcmo", "late": True, "hidden": 5, CHIP: True},
    "gate": {"device": "li-1t1r"},
    "gate, hidden": {"device": "wang-1t1r", "hidden": 5},
}
SAVED = ("convolution_digits", "layers_xor", "device_epiram_1_late")  # files of voltages/


def digest(*values: Any) -> str:
    """Return the hash of arrays (of their bytes), of texts, and of lists of both."""
    hashed = hashlib.sha256()
    for value in values:
        if isinstance(value, list | tuple):
            hashed.update(digest(*value).encode())
        else:
            hashed.update(value.encode() if isinstance(value, str) else value.tobytes())
    return hashed.hexdigest()[:16]


def cases() -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the name of each case and a function that returns its hash."""
    import numpy as np

    import memristive as m

    rng = np.random.default_rng(1)
    images, labels = rng.random((20, 16)) * (rng.random((20, 16)) < 0.7), np.arange(20) % 3
    patterns = (rng.random((3, 9)) < 0.5).astype(float)

    def learned(options: Fields, engine: str, presentations: int) -> "m.Learning":
        given = {**options}
        if given.pop(CHIP, False):
            given[CHIP] = m.Chip(cell_gain=0.05, neuron_threshold=0.02, seed=3)
        network, rule = m.build(images, 3, **given, presentations=presentations, seed=1)
        return m.learn(network, rule, images, labels, engine=engine)

    def state_of(learning: "m.Learning") -> str:
        return digest(learning.history, *learning.network.states)

    def closed_form(options: Fields) -> str:
        learning = learned(options, "closed-form", 60)
        return digest(state_of(learning), m.read(learning.network, images))

    def ngspice(options: Fields) -> str:
        learning = learned(options, "ngspice", 3)
        return digest(state_of(learning), m.read(learning.network, images[:2], engine="ngspice"))

    def netlist(options: Fields) -> str:
        return digest(m.netlist(learned(options, "closed-form", 10).network, images[0]))

    def hebbian() -> str:
        states = m.train_hebbian(m.Setup(), patterns).states
        return digest(states, m.infer(m.Setup(), states, patterns).spikes)

    def saved(name: str) -> str:
        network = m.load(ROOT_OF_RUN / f"voltages/{name}.json")
        network = network[0] if isinstance(network, tuple) else network
        rows = np.random.default_rng(2).random((5, network.sizes[0]))
        return digest(m.read(network, rows))

    yield "Hebbian, ngspice", hebbian
    for kind, options in OPTIONS.items():
        for name, run in (("closed form", closed_form), ("ngspice", ngspice), ("netlist", netlist)):
            yield f"{kind}, {name}", partial(run, options)
    for name in SAVED:
        yield f"reads of {name}", partial(saved, name)


ROOT_OF_RUN = Path.cwd()


def hashes() -> dict[str, str]:
    """Return the hash of each case of the checkout in the working folder, or the error instead."""
    warnings.simplefilter("ignore")
    hashes = {}
    for name, run in cases():
        try:
            hashes[name] = run()
        except Exception as error:  # a kind that the other commit does not have
            hashes[name] = f"{type(error).__name__}: {error}"
    return hashes


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the hashes of the checkout in `folder`, which a process of its own computes."""
    done = subprocess.run(
        [sys.executable, __file__, "--hashes"], cwd=folder, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def main() -> int:
    """Compare, print the cases that differ; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", nargs="?", default="HEAD", help="default: HEAD")
    parser.add_argument("--hashes", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hashes:
        print(json.dumps(hashes()))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "checkout")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", other, options.commit], check=True)
        try:
            before = hashes_of(other)
        finally:
            subprocess.run([*git, "remove", "--force", other], check=True)
    now = hashes_of(ROOT)
    changed = [name for name in now if now[name] != before.get(name)]
    for name in changed:
        print(f"{name}: {before.get(name)} in {options.commit}, {now[name]} now")
    print(f"{len(now) - len(changed)} of {len(now)} cases are the same")
    return int(bool(changed))


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    sys.exit(main())
