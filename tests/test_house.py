"""The house: what stands at the root, how long a room is, and that a wrong import goes red."""

import subprocess
import sys

import pytest

from tests.helpers import ROOT

PAGES = {"memristor.py", "memristor_figures.py", "XPUE_memristive_training.py", "012345_memristive_training.py",
         "MNIST_memristive_training.py", "XPUE_memristive_inference.py", "012345_memristive_inference.py",
         "MNIST_memristive_inference.py", "MNIST_memristor_test.py", "snn_circuit.py", "datasets.py", "plotting.py",
         "reproduce.py", "verify.py"}
LONGEST = 350  # lines of a room: past that it has become two


def tracked(pattern):
    """The files of the project by git's own list, so that what a user leaves lying about is not counted."""
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines()]


def test_root_holds_the_users_list_and_no_other_module():
    assert {path.name for path in tracked("*.py") if path.parent == ROOT} == PAGES


@pytest.mark.parametrize("path", tracked("*.py"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_room_is_too_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_script_and_study_is_listed():
    listed = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    for path in tracked("*.py"):
        if "sys.exit(" in path.read_text(encoding="utf-8") and path.parent in (ROOT, ROOT / "studies"):
            name = path.name if path.parent == ROOT else f"python -m studies.{path.stem}"
            assert f"`{name}" in listed or (name.endswith("_inference.py") and name.partition("_")[0] + "_" in listed), name


@pytest.mark.parametrize(("room", "wrong"), [("memristive/single_layer/spike_decoding.py", "import memristive.single_layer.scores"),
                                             ("snn_circuit.py", "import memristive.single_layer.pulses"),
                                             ("memristive/io/files.py", "import memristor"),
                                             ("memristive/single_layer/pulses.py", "import plotting")])
def test_an_import_that_goes_up_is_refused(room, wrong, tmp_path):
    for path in tracked("*"):
        if path.suffix in (".py", ".toml"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    with (tmp_path / room).open("a", encoding="utf-8") as file:
        file.write(f"\n{wrong}\n")
    done = subprocess.run([sys.executable, str(tmp_path / "tools" / "lint_imports.py")], capture_output=True, text=True)
    assert done.returncode != 0 and "BROKEN" in done.stdout
