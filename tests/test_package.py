"""The installed package works from any folder, and its layers are in order."""

import os
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

import memristive
from tests.helpers import ROOT, outputs


def test_versions_agree_and_all_folders_are_packaged():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert memristive.__version__ == citation["version"]
    folders = {path.parent.relative_to(ROOT).parts for path in ROOT.glob("memristive/**/*.py")}
    packages = set(settings["tool"]["setuptools"]["packages"])
    assert {".".join(folder) for folder in folders} <= packages


def test_installed_package_is_importable_from_another_folder(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    for folder in ("memristive", "data", "results/published"):
        shutil.copytree(ROOT / folder, source / folder)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("memristor", "snn_circuit"):
        shutil.copy(ROOT / f"{name}.py", source)
    install = ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--quiet", "--target"]
    command = [sys.executable, *install, str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    code = (
        "import memristive; [getattr(memristive, name) for name in memristive.__all__]\n"
        "from memristive.devices.measured_device import load_device; load_device('epiram')\n"
        "from memristive import datasets\n"
        "import memristor, snn_circuit, memristive.commands.fit\n"
        "assert datasets.load_mnist('y_test')['y_test'].shape == (10000,)\n"
        "print(memristor.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert done.stdout.splitlines()[-1:] == [str(site / "memristor.py")], done.stderr


# of the paper's device: `spice.pyspice` holds the names of PySpice
BELOW = {
    *("parameters", "spice", "spice.pyspice"),
    *("devices", "devices.aging", "devices.write_curve"),
}


@pytest.mark.parametrize(
    ("module", "below"), [("memristor", BELOW), ("snn_circuit", BELOW | {"devices.cells"})]
)
def test_modules_at_the_root_load_nothing_above_them(module, below):
    code = (
        "import contextlib, runpy, sys\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    runpy.run_path('{module}.py', run_name='__main__')\n"
        "print(*(name for name in sys.modules if name.startswith('memristive.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    loaded = done.stdout.split()
    assert loaded and {name.removeprefix("memristive.") for name in loaded} <= below, done.stderr


def test_the_papers_training_loads_no_layers_and_no_measured_devices(ngspice, tmp_path):
    code = (
        "import sys, XPUE_memristive_training as script\n"
        "script.main(sys.argv[1:])\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "--voltages", str(tmp_path / "voltages.json")),
            *outputs(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    loaded = set(done.stdout.rpartition("loaded")[2].split())
    kinds = {"learning.rule", "network.networks", "writing.ways", "devices.measured_device"}
    assert "memristive.io.voltages" in loaded, done.stderr
    assert not loaded & {"numba", *(f"memristive.{name}" for name in kinds)}
