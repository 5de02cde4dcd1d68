"""Checkpoints: they come back as saved, belong to one run, and are refused if damaged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memristive.io.records import FileProblem, NotOverwritten, checkpoint_at_interrupt, checkpoint_path, resumed, save_checkpoint

PARAMETERS = {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.02}}
PROGRESS = {"states": np.arange(12.0).reshape(3, 4), "done": 3, "history": np.zeros((20, 2), bool), "seconds": 1.5}


@pytest.fixture
def saved(tmp_path):
    path = checkpoint_path(tmp_path / "voltages.json")
    save_checkpoint(path, PROGRESS, PARAMETERS)
    assert path.parent == tmp_path
    return path


def test_a_checkpoint_is_resumed_or_given_up_explicitly(saved, tmp_path):
    loaded = resumed(saved, PARAMETERS, resume=True, force=False)
    assert loaded.keys() == PROGRESS.keys() and all(np.array_equal(loaded[name], value) for name, value in PROGRESS.items())
    with pytest.raises(NotOverwritten, match="--resume"):
        resumed(saved, PARAMETERS, resume=False, force=False)
    assert resumed(saved, PARAMETERS, resume=False, force=True) is None
    assert resumed(tmp_path / "none", PARAMETERS, resume=False, force=False) is None
    with pytest.raises(FileProblem, match="none"):
        resumed(tmp_path / "none", PARAMETERS, resume=True, force=False)
    with pytest.raises(FileProblem, match=r"learning\.dose"):
        resumed(saved, {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.05}}, resume=True, force=False)


def test_damaged_bytes_are_refused_or_change_nothing(saved):
    content, refused = saved.read_bytes(), []

    @given(st.integers(0, len(content) - 1), st.integers(0, 255))
    @settings(max_examples=150)
    def check(at, flip):
        saved.write_bytes(content[:at] + (bytes([content[at] ^ flip]) + content[at + 1:] if flip else b""))
        try:
            loaded = resumed(saved, PARAMETERS, resume=True, force=False)
        except FileProblem as error:
            refused.append(error)
            return
        assert all(np.array_equal(loaded[name], value) for name, value in PROGRESS.items())
    check()
    assert len(refused) > 50


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_block_that_ends_early_leaves_a_checkpoint(tmp_path, error):
    path, progress = tmp_path / "checkpoint", dict(PROGRESS)
    with pytest.raises(error), checkpoint_at_interrupt(path, lambda: progress, PARAMETERS):
        progress["done"] = 7
        raise error
    assert resumed(path, PARAMETERS, resume=True, force=False)["done"] == 7
    path.unlink()
    with checkpoint_at_interrupt(path, lambda: progress, PARAMETERS):
        pass
    assert not path.exists()
