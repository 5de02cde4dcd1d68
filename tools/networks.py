"""Networks of one layer that the repository contains: the commands that train and test them, and
their records.
"""

from dataclasses import dataclass
from pathlib import Path

from memristive.io.records import load_decisions, to_json, write_file

RESULTS = Path("results")
ONE_LAYER = RESULTS / "one_layer"
QUICK = RESULTS / "quick"  # records of a quick reproduction, with fewer images in ngspice

# Settings of the trainings in closed form, chosen on held-out training images
# (docs/reproducing.md).
LONGER = {
    "binary": ["rule.presentations=600000", "rule.dose=0.02", "rule.margin=2e-6"],
    "grey": [
        "rule.presentations=600000",
        "rule.dose=0.06",
        "rule.margin=1.5e-6",
        "rule.start_state=5.2",
    ],
}


@dataclass(frozen=True)
class TestedNetwork:
    """A network of one layer, which ngspice tests on MNIST (docs/reproducing.md)."""

    name: str  # of the voltages file, without .json
    rule: str
    encoding: str
    engine: str = "ngspice"  # engine that trained
    seed: int = 1

    @property
    def training(self) -> list[str]:
        """Arguments of the command `python` that trains the network."""
        if self.rule == "hebbian":
            return ["MNIST_memristive_training.py"]
        encoding = ["--encoding", "grey"] * (self.encoding == "grey")
        engine, settings = (
            ([], [])
            if self.engine == "ngspice"
            else (["--engine", self.engine], LONGER[self.encoding])
        )
        settings = [f"rule.seed={self.seed}"] * (self.seed > 1) + settings
        return [
            "-m",
            "studies.error_driven",
            *engine,
            *encoding,
            *(["--set", *settings] if settings else []),
        ]

    @property
    def test(self) -> list[str]:
        """Arguments of the command `python` that reads all test images in ngspice."""
        return [
            "MNIST_memristor_test.py",
            *(["--voltages", f"voltages/{self.name}.json"] if self.rule != "hebbian" else []),
        ]


def _networks() -> list[TestedNetwork]:
    tested = [TestedNetwork("mnist", "hebbian", "binary")]
    for encoding, ending in (("binary", ""), ("grey", "_grey")):
        tested.append(TestedNetwork(f"mnist_ex_situ{ending}", "ex-situ", encoding))
        for engine, stem in (("ngspice", "error_driven"), ("closed-form", "closed_form")):
            for seed in (1, 2, 3):
                name = f"mnist_{stem}{ending}" + f"_seed_{seed}" * (seed > 1)
                tested.append(TestedNetwork(name, "error-driven", encoding, engine, seed))
    return tested


NETWORKS = _networks()


def test_name(network: TestedNetwork) -> str:
    """Return the name, without ending, of the files that a network's MNIST test writes."""
    return network.name.replace("mnist", "mnist_test", 1)


def write_agreement() -> None:
    """Count, for each network, the test images that the two engines decide differently. Write
    results/one_layer/agreement.json, or results/quick/agreement.json if ngspice has not read all
    images of each network.
    """
    counts, folder = {}, ONE_LAYER
    for network in NETWORKS:
        computed = load_decisions(
            ONE_LAYER / f"{test_name(network)}_by_closed_form_decisions.csv.gz"
        )["decision"]
        paths = [one / f"{test_name(network)}_decisions.csv.gz" for one in (ONE_LAYER, QUICK)]
        decisions = next((path for path in paths if path.exists()), paths[0])
        simulated = load_decisions(decisions)["decision"]
        both = min(len(computed), len(simulated))
        counts[network.name] = {
            "images": both,
            "otherwise": int((computed[:both] != simulated[:both]).sum()),
        }
        if decisions.parent == QUICK:
            folder = QUICK
    write_file(folder / "agreement.json", to_json(counts))
