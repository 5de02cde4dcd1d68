"""Voltages files: saved states come back to the last bit; a file that cannot be used is named in
one VoltagesError.
"""

import json

import numpy as np
import pytest

from memristive.engines.engine import read
from memristive.io.networks import load, save
from memristive.io.records import describe, to_json
from memristive.io.voltages import FORMAT, VERSION, VoltagesError, load_voltages
from memristive.learning.build import build
from memristive.network.design import Schedule, Setup
from memristive.network.networks import Network
from memristor import MemristorParameters
from tests.helpers import ROOT, one_line

STATES = np.array([[2.83, -0.0123456789012345, 1 / 3], [7.04, 1e-17, 5e5]])
VALID = {
    "format": FORMAT,
    "version": VERSION,
    "dataset": "xpue",
    "rule": "error-driven",
    "voltages": STATES.tolist(),
}
PAPER = {f"xsnn.xmemristor_p{j}_{i}.cmem": STATES[j, i] for j in range(2) for i in range(3)}


@pytest.fixture(scope="module")
def content_of(tmp_path_factory):
    """content_of(content): the `Voltages` in a file with this content (bytes, text or anything that
    JSON can hold).
    """
    path = tmp_path_factory.mktemp("voltages") / "some.json"

    def run(content, function=load_voltages, shape=(2, 3)):
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return function(path, "xpue", *shape)

    return run


def test_papers_flat_layout_is_read_in_any_order_with_the_default_setup(content_of):
    others = {"seed": 1, "xsnn.membrane": 3.9, "a.xsnn.xmemristor_p9_9.cmem": 1.0}
    default = Setup(schedule=Schedule(pulse=2e-3))
    for content in (PAPER, dict(reversed({**PAPER, **others}.items()))):
        loaded = content_of(content)
        assert loaded.states.tobytes() == STATES.tobytes()  # class first, input second
        assert (loaded.rule, loaded.encoding, loaded.engine, loaded.chip) == (
            "hebbian",
            "binary",
            "ngspice",
            None,
        )
        assert loaded.setup(default) == default
    assert content_of(
        {f"xsnn.xmemristor_p0_{i}.cmem": 1.0 for i in range(9)}, shape=(1, 9)
    ).shape == (3, 3)


TEXT, FLAT = json.dumps(VALID), json.dumps(PAPER)
DAMAGED = {
    "truncated": TEXT[:-10],
    "other version": {**VALID, "version": 2},
    "other dataset": {**VALID, "dataset": "mnist"},
    "transposed": {**VALID, "voltages": STATES.T.tolist()},
    "paper's NaN": FLAT.replace("7.04", "NaN"),
    "paper's layout without a cell": {
        key: value for key, value in PAPER.items() if "_p0_2." not in key
    },
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_file_is_named_in_one_line(content_of, case):
    with pytest.raises(VoltagesError) as caught:
        content_of(DAMAGED[case])
    assert "some.json" in one_line(str(caught.value))
    with pytest.raises(VoltagesError, match=r"none\.json"):
        load_voltages("none.json")


def test_a_parameter_that_is_gone_matters_only_if_it_was_used(tmp_path):
    path = tmp_path / "v.json"
    for leak in (0.0, 1e-6):
        content = VALID | describe(Setup(MemristorParameters(transconductance=7e-9)))
        content["network"]["memristor"]["leak_per_volt"] = leak
        path.write_text(to_json(content))
        if leak:
            with pytest.raises(VoltagesError, match="leak_per_volt"):
                load_voltages(path)
        else:
            assert load_voltages(path).setup().memristor.transconductance == 7e-9


NETWORKS = [
    path
    for path in sorted((ROOT / "voltages").glob("*.json"))
    if FORMAT in path.read_text(encoding="utf-8")[:200]
]


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_every_network_of_the_repository_is_loaded_and_read(path):
    network = load(path)
    images = np.random.default_rng(1).random((3, network.sizes[0]))
    assert read(network, images).shape == (3, network.sizes[-1])
    assert (network.chip is not None) == bool(json.loads(path.read_text()).get("chip"))


def test_saving_loses_neither_the_earlier_file_nor_the_new_one(tmp_path, capsys):
    one, other = (Network.of(Setup(), np.full((2, 4), volts)) for volts in (3.0, 4.0))
    path, kept = tmp_path / "v.json", tmp_path / "v.1.json"
    path.write_text("someone's notes")
    save(path, one)
    assert kept.read_text() == "someone's notes" and "v.1.json" in capsys.readouterr().out
    save(path, one)
    save(path, other)
    assert [load(tmp_path / f"v{k}.json").states[0][0, 0] for k in ("", ".2")] == [4.0, 3.0]
    save(path, one, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 3 and load(path).states[0][0, 0] == 3.0


def test_a_state_that_no_pulse_reaches_is_refused(tmp_path):
    network, rule = build(np.ones((2, 4)), 2, device="pcmo", late=True)
    save(tmp_path / "v.json", network, rule)
    content = json.loads((tmp_path / "v.json").read_text())
    content["layers"][0][1][2] = 50.0
    (tmp_path / "v.json").write_text(json.dumps(content))
    with pytest.raises(VoltagesError, match=r"layer 1 .* 50 V"):
        load(tmp_path / "v.json")
