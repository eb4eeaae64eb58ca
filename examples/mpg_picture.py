"""Draw the README's picture: one line for all cars (lm), one a class (lmer).

python examples/mpg_picture.py [FILE.svg]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import partialpool as pp

DEFAULT = Path(__file__).parents[1] / "docs" / "pictures" / "mpg.svg"
COLOURS = ["#0072b2", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#7f3c8d", "#b8860b"]
YEAR = 2003.5  # halfway between the two years of the data


def main(target: Path) -> None:
    """Fit both models and write the picture."""
    mpg = pp.datasets.load("mpg")
    pooled = pp.lm("hwy ~ displ + year", mpg)
    mixed = pp.lmer("hwy ~ displ + year + (1 | class)", mpg)

    # Text as outlines and no date: the file is the same wherever it is made.
    plt.rcParams.update({"svg.hashsalt": "partialpool", "font.size": 11})
    figure, axes = plt.subplots(figsize=(8.4, 4.8), facecolor="white", layout="constrained")
    jitter = np.random.default_rng(1).uniform(-0.04, 0.04, len(mpg))
    levels = mixed.ranef()["class"]["Intercept"]
    for colour, name in zip(COLOURS, levels.sort_values(ascending=False).index, strict=True):
        cars = mpg[mpg["class"] == name]
        axes.scatter(
            cars["displ"] + jitter[cars.index], cars["hwy"], s=18, color=colour, alpha=0.5, lw=0
        )
        ends = np.array([cars["displ"].min() - 0.1, cars["displ"].max() + 0.1])
        heights = mixed.predict({"displ": ends, "year": np.repeat(YEAR, 2), "class": [name] * 2})
        label = f"{name}, {len(cars)} cars"
        axes.plot(ends, heights, color=colour, lw=2.4, solid_capstyle="round", label=label)
    ends = np.array([1.5, 7.1])
    heights = pooled.predict({"displ": ends, "year": np.repeat(YEAR, 2)})
    axes.plot(ends, heights, color="black", lw=2, ls=(0, (5, 2)), label="lm: all 234 cars")
    axes.legend(
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        labelspacing=0.7,
        title="lmer: a line a class",
        alignment="left",
    )
    slopes = pooled.params["displ"], mixed.params["displ"]
    axes.set_title(
        f"A litre more costs {-slopes[0]:.2f} miles per gallon by lm, {-slopes[1]:.2f} by lmer",
        loc="left",
        fontsize=12,
    )
    axes.set_xlabel("engine displacement, litres")
    axes.set_ylabel("highway miles per gallon")
    axes.set_xlim(1.4, 7.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
