"""Execute docs/tour.ipynb and store what its cells print and draw, with `python -m tools.tour`.
About half a minute.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

TOUR = Path(__file__).parents[1] / "docs/tour.ipynb"


def executed() -> NotebookNode:
    """Return the notebook with the outputs of a new run."""
    notebook = nbformat.read(TOUR, as_version=4)
    return NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(TOUR.parent)}},
    ).execute()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    nbformat.write(executed(), TOUR)
