"""reproduce.py, stopped and begun again: what can go on goes on, where it would be refused otherwise."""

import argparse

import pytest

import reproduce


def given(tmp_path, full=False, force=False):
    """What each command is given besides its own options."""
    options = argparse.Namespace(figures=tmp_path, show=False, force=force)
    steps = [step for chain in reproduce.chains(full, 2000) for step in chain]
    return {" ".join(step.command): reproduce.passed_on(step, options) for step in steps}


@pytest.mark.parametrize(("left", "full", "command"), [
    ("voltages/layers_mnist.json.checkpoint", False, "-m studies.layers --data mnist"),
    ("voltages/layers_xor_2.json.checkpoint", False,
     "-m studies.layers --data xor --engine ngspice --test-engine ngspice --seeds 10"),
    ("voltages/mnist_error_driven_seed_2.json.checkpoint", True,
     "MNIST_memristive_training.py --rule error-driven --seed 2 --encoding binary --voltages "
     "voltages/mnist_error_driven_seed_2.json"),
    ("first_50/layers_in_ngspice_mnist_results.json.checkpoint", False, "-m studies.ngspice_layers --jobs 1 --samples 50"),
    ("layers_in_ngspice_mnist_results.json.checkpoint", True, "-m studies.ngspice_layers --jobs 1 --samples 2000 --whole 20")])
def test_step_that_was_stopped_goes_on_and_no_other(left, full, command, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce, "ROOT", tmp_path / "project")
    assert not any("--resume" in options for options in given(tmp_path, full).values())
    place = tmp_path / ("project" if left.startswith("voltages") else ".") / left
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    assert [step for step, options in given(tmp_path, full).items() if "--resume" in options] == [command]
    assert not any("--resume" in options for options in given(tmp_path, full, force=True).values())
