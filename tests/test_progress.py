"""Progress without a terminal: lines of their own, and none for short work."""

from memristive.progress import progress


def test_without_a_terminal_long_work_writes_lines(capsys):
    assert list(progress(range(3), 3, "work", "step", every=0)) == [0, 1, 2]
    found = capsys.readouterr().err
    assert "\r" not in found and any("3/3" in line for line in found.splitlines())
    assert list(progress(range(3), 3, "work", "step")) == [0, 1, 2]
    assert not capsys.readouterr().err
