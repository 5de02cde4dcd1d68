"""What the command lines of studies and pages take and refuse: nothing is worked at here."""

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import memristor_figures
import reproduce
import studies
import verify
from studies import (
    device,
    dose_and_margin,
    engines,
    ex_situ,
    hidden_neurons,
    imperfect_chips,
    imperfect_layers,
    instar,
    iv,
    layer_gradient,
    layers,
    layers_in_ngspice,
    layers_in_step,
    own_data,
    stdp,
    stdp_mnist,
    stdp_window,
)

# Who asks before it overwrites, and how the study that it belongs to is started.
CLAIMS: dict[ModuleType, tuple[ModuleType, list[str]]] = {
    **{study: (study, []) for study in (dose_and_margin, engines, ex_situ, hidden_neurons, imperfect_chips, imperfect_layers,
                                        instar, layer_gradient, layers_in_ngspice, stdp)},
    **{study: (study, ["--data", "digits"]) for study in (layers, layers_in_step)},
    iv: (device, []), stdp_window: (device, ["--stdp"]), own_data: (own_data, ["iris"]),
    stdp_mnist: (stdp, ["--data", "mnist"]), verify: (verify, []),
}
NO_VOLTAGES = [hidden_neurons, engines, imperfect_layers, imperfect_chips, instar, dose_and_margin, layer_gradient, verify,
               reproduce, memristor_figures]
NO_NETLIST = [*NO_VOLTAGES, ex_situ, layers_in_step, layers_in_ngspice, own_data]
REFUSED = [*((page, "--netlist") for page in NO_NETLIST), *((page, "--voltages") for page in [*NO_VOLTAGES, device]),
           (memristor_figures, "--force"), (stdp, "--voltages"), (stdp_mnist, "--netlist")]


def short(module):
    return module.__name__.rpartition(".")[2]


class Claimed(Exception):
    """The study was about to ask whether it may overwrite."""


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("place", CLAIMS, ids=short)
def test_force_reaches_who_asks_before_it_overwrites(place, force, monkeypatch, tmp_path):
    study, words = CLAIMS[place]
    signature = inspect.signature(place.claimed)

    def stopped(*arguments, **more):
        bound = signature.bind(*arguments, **more)
        bound.apply_defaults()
        raise Claimed(bound.arguments["force"])
    monkeypatch.setattr(place, "claimed", stopped)
    with pytest.raises(Claimed) as caught:
        study.main([*words, "--figures", str(tmp_path), *["--force"] * force])
    assert caught.value.args == (force,)


def test_every_study_that_overwrites_is_among_them():
    found = [importlib.import_module(f"studies.{study.name}") for study in pkgutil.iter_modules(studies.__path__)]
    assert {study for study in found if hasattr(study, "claimed")} == set(CLAIMS) - {verify}


@pytest.mark.parametrize(("study", "option"), REFUSED, ids=lambda value: value if isinstance(value, str) else short(value))
def test_options_without_a_use_are_refused_with_a_reason(study, option, capsys):
    with pytest.raises(SystemExit) as ended:
        page, words = CLAIMS.get(study, (study, []))
        page.main([*words, option, "file"])
    assert ended.value.code == 2 and f"{option} is refused: " in capsys.readouterr().err


@pytest.mark.parametrize(("page", "arguments"), [
    (stdp, ["--thresh", "5"]), (stdp, ["--dat", "mnist"]), (device, ["--std"]), (device, ["--kp-of-nobody", "1"]),
    (layers, ["--hidden-d", "0.1"])])
def test_part_of_an_options_name_is_no_option(page, arguments, capsys):
    """Of --output 1 argparse would make --output-high 1, where somebody wanted to say where results go."""
    with pytest.raises(SystemExit) as ended:
        page.main(arguments)
    assert ended.value.code == 2 and f"unrecognized arguments: {arguments[0]}" in capsys.readouterr().err
