"""The circuit of transistors: the contest's images, energy, learning in ngspice."""

import hashlib
import json
import re
import subprocess

import numpy as np
import pytest

from memristive.datasets import own_patterns, xpue
from memristive.parameters import ParameterError
from memristive.spice.power import positive_energy
from tests.helpers import ROOT
from transistors.circuit import PRESETS, LearnerParameters, netlist
from transistors.learner import LABELS, contest, contest_images
from transistors.transient import batch_netlist, simulate

COMMITTED = ROOT / "transistors" / "learns_from_errors.cir"


# published with the tasks
SHA256 = {
    "mnist10": "9c7fd4db02f655862f8f50a94bf331da47a77986e747a201d82f46d7dd4a07b0",
    "mnist017": "7e615774a3a79e96bd5f50bf16ae2eda0b4b7521a47cb154d759ba7ac8f04a3e",
}


@pytest.mark.parametrize("task", SHA256)
def test_the_contests_images_have_the_published_hash(task):
    digest = hashlib.sha256(b"spicenn2-dataset-content-v1\n")
    names = ("train_x", "train_y", "test_x", "test_y")
    for name, array in zip(names, contest_images(task), strict=True):
        kind = "<f8" if name.endswith("x") else "<i8"
        about = json.dumps([name, kind, list(array.shape)], separators=(",", ":"))
        digest.update(about.encode() + b"\n")
        digest.update((array.astype(kind) + 0).tobytes())  # + 0 turns -0 into 0
    assert digest.hexdigest() == SHA256[task]


def test_the_contests_images_are_shown_in_twenty_passes():
    transient, labels = contest("mnist017")
    assert transient.learning.sum() == 20 * 72 and transient.inputs == 16
    assert np.bincount(labels).tolist() == [50, 50, 0, 0, 0, 0, 0, 50]


def test_energy_of_a_divider_and_of_a_charged_capacitor():
    """A source of 2 V gives V^2 t / R to a resistor, and C V^2 to a capacitor behind one. What
    comes back is no credit. Of a power that crosses zero only the part above counts.
    """
    text = "\n".join(
        [
            "divider",
            "V1 a 0 PULSE(0 2 0 1n 1n 1 2)",
            "R1 a b 1k",
            "R2 b 0 3k",
            "V2 c 0 PULSE(0 2 1m 1n 1n 4m 20m)",
            "R3 c d 1k",
            "C1 d 0 100n",
            ".save v(a) i(v1) v(c) i(v2)",
            ".tran 10u 10m 0 10u uic",
            ".end",
            "",
        ]
    )
    trace = simulate(text, 10e-3)
    resistors = positive_energy(trace["time"], -trace["v(a)"] * trace["i(v1)"], 0, 10e-3)
    capacitor = positive_energy(trace["time"], -trace["v(c)"] * trace["i(v2)"], 0, 10e-3)
    assert resistors == pytest.approx(2**2 / 4e3 * 10e-3, rel=1e-3) and capacitor == pytest.approx(
        100e-9 * 2**2, rel=1e-2
    )
    assert positive_energy(np.array([0.0, 4.0]), np.array([-1.0, 3.0]), 0.0, 4.0) == pytest.approx(
        3 * 3 / 2
    )


def test_committed_netlist_is_reproducible():
    assert COMMITTED.read_text() == batch_netlist(
        LearnerParameters(), xpue().patterns, xpue().labels
    )


@pytest.mark.parametrize("task", LABELS)
def test_submitted_circuits_are_reproducible(task):
    circuit = (ROOT / "transistors" / "submission" / "spicenn2" / task / "circuit.cir").read_text()
    assert circuit == netlist(PRESETS[task], LABELS[task])


def test_committed_netlist_learns_from_errors_in_ngspice_alone():
    done = subprocess.run(
        ["ngspice", "-b", str(COMMITTED)], capture_output=True, text=True, timeout=120, check=True
    )
    before, after = done.stdout.split("After learning:")
    assert re.findall(r"^(\S) is not recognised$", before, re.MULTILINE) == list("X+U=")
    assert re.findall(r"^(\S) is recognised", after, re.MULTILINE) == list("X+U=")


@pytest.mark.parametrize(
    "lines", [["110 101 110 D", "010 101 010 O"], ["101 010 X", "111 000 =", "010 111 +"]]
)
def test_own_patterns_of_any_number_are_learned_in_ngspice_alone(tmp_path, lines):
    (tmp_path / "own.txt").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    own = own_patterns(tmp_path / "own.txt")
    drawn = ["".join(line.split()[:-1]) for line in lines]
    assert own.patterns.tolist() == [[float(pixel) for pixel in pixels] for pixels in drawn]
    (tmp_path / "own.cir").write_text(batch_netlist(LearnerParameters(), own.patterns, own.labels))
    done = subprocess.run(
        ["ngspice", "-b", tmp_path / "own.cir"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = [
        re.findall(r"^(\S) is recognised", part, re.MULTILINE)
        for part in done.stdout.split("After learning:")
    ]
    assert found == [[], [line[-1] for line in lines]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "101 010 X\n",
        "101 010 X\n111 Y\n",
        "101 010 X\n111 000 X\n",
        "101 010 X\n101 010 Y\n",
        "101 010 X\n111 000 `ls`\n",
    ],
)
def test_files_without_patterns_are_refused(tmp_path, text):
    (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match="pattern"):
        own_patterns(tmp_path / "own.txt")
