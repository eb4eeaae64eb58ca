"""Draw the tutorial's pictures: why lm and lmer differ on the mpg data.

python examples/comparison_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import partialpool as pp

DEFAULT = Path(__file__).parents[1] / "docs" / "pictures"


def main(folder: Path) -> None:
    """Compare the models and write a picture of each kind."""
    # Text as outlines and no date: the files are the same wherever they are made.
    plt.rcParams.update({"svg.hashsalt": "partialpool", "figure.facecolor": "white"})
    found = pp.compare("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))
    pictures: dict[str, Any] = {
        "lines": found.plot.lines("displ"),
        "path": found.plot.path(),
        "shrinkage": found.plot.shrinkage(),
        "components": found.plot.components([0, 212]),
        "forest": found.plot.forest(),
    }
    for name, axes in pictures.items():
        figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
        target = folder / f"compare-{name}.svg"
        figure.savefig(target, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
