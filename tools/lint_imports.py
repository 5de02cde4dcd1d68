"""Run import-linter over the whole house: python tools/lint_imports.py

import-linter sees packages alone, but the pages and half the rooms are single files at the root, as their user asked for. So it
is shown a folder of links in which each of those files is a package of the same name; nothing is copied, no import changes.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def show_as_packages(folder: Path) -> None:
    """Fill `folder` with links to the project's packages, and with its root modules as packages."""
    for package in ROOT.glob("*/__init__.py"):
        os.symlink(package.parent, folder / package.parent.name)
    for module in ROOT.glob("*.py"):
        (folder / module.stem).mkdir()
        os.symlink(module, folder / module.stem / "__init__.py")


def main() -> int:
    """Exit code of import-linter on the contracts in pyproject.toml."""
    with tempfile.TemporaryDirectory() as folder:
        show_as_packages(Path(folder))
        command = ["lint-imports", str(ROOT / "pyproject.toml"), "--no-cache", *sys.argv[1:]]
        program = Path(sys.executable).with_name(command[0])
        return subprocess.run([program, *command[1:]], cwd=folder, env=os.environ | {"PYTHONPATH": folder}).returncode


if __name__ == "__main__":
    sys.exit(main())
