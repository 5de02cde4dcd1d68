"""Files as their users want them: private, or not to be written at all."""

import os
import stat

import pytest

from memristive.io.files import FileProblem, atomic_write, check_writable


@pytest.mark.parametrize(("mask", "before", "after"), [(0o077, None, 0o600), (0o022, None, 0o644), (0o022, 0o640, 0o640)])
def test_files_have_the_permissions_that_the_user_wants(tmp_path, mask, before, after):
    path, old = tmp_path / "some.json", os.umask(mask)
    try:
        if before is not None:
            path.touch()
            path.chmod(before)
        atomic_write(path, "{}")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_file_whose_owner_has_made_it_read_only_is_not_replaced(tmp_path):
    path = tmp_path / "some.json"
    path.touch()
    path.chmod(0o400)
    with pytest.raises(FileProblem, match=r"some\.json cannot be written: Permission denied"):
        check_writable(path)
