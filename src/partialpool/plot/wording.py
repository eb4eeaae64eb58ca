"""Numbers and names as pictures write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["clipped", "labels", "numbers", "plain", "significant", "spread", "thousands"]


def numbers(value: float, place: object = None) -> str:
    """A tick's label."""
    del place
    return f"{value:.12g}".replace("-", "\N{MINUS SIGN}")


def significant(values: Sequence[float], digits: int = 3) -> list[str]:
    """Numbers with as many decimals as tell them apart, at least so many significant digits."""
    sizes = [abs(v) for v in values if np.isfinite(v) and v != 0]
    if not sizes:
        return ["0" if v == 0 else "" for v in values]
    decimals = digits - 1 - int(np.floor(np.log10(max(sizes))))
    gaps = [abs(a - b) for a in values for b in values]
    apart = [gap for gap in gaps if gap > 0.002 * max(sizes)]  # below: the same for the eye
    if apart:
        decimals = max(decimals, -int(np.floor(np.log10(min(apart)))))
    decimals = min(max(decimals, 0), 12)
    return [
        f"{v:,.{decimals}f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(v) else ""
        for v in values
    ]


def plain(text: object, most: int = 10_000) -> str:
    """The user's text as it is: on one line, no mathematics in it, at most `most` characters."""
    flat = "".join(c if c.isprintable() else " " for c in str(text))
    return clipped(flat, most).replace("$", r"\$")


def clipped(text: str, most: int) -> str:
    """A text of at most `most` characters, its middle left out if it is longer.

    Names of levels often begin alike, so that their ends tell them apart.
    """
    if len(text) <= most:
        return text
    tail = (most - 1) * 2 // 5
    return f"{text[: most - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def labels(names: Iterable[object], most: int) -> list[str]:
    """Names that fit in `most` characters: what all of them begin or end with goes first."""
    texts = [plain(name).replace(r"\$", "$") for name in names]
    if len(texts) > 1 and max(map(len, texts)) > most:
        head, tail = _shared(texts), _shared([text[::-1] for text in texts])
        if head + tail >= min(map(len, texts)):
            tail = 0
        head, tail = (count if count > 6 else 0 for count in (head, tail))
        cores = [text[head : len(text) - tail].strip() for text in texts]
        keep = max(most - max(map(len, cores)) - 2, 0) if head else 0
        start = texts[0][: min(keep, head)].rstrip() + "…" if head else ""
        texts = [start + core + ("…" if tail else "") for core in cores]
    return [plain(text, most) for text in texts]


def _shared(texts: list[str]) -> int:
    """How many characters all texts begin with."""
    least, most = min(texts), max(texts)
    pairs = zip(least, most, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(least), len(most)))


def thousands(count: int) -> str:
    """A count with separators."""
    return f"{count:,}"


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Places for labels, each as near as may be to its own height and `gap` from the next.

    Neighbours that are too close are merged and spaced about their mean (pool adjacent violators).
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    blocks: list[tuple[float, int]] = []  # mean of height - rank * gap, members
    for rank, i in enumerate(order):
        mean, size = heights[i] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (other * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    out = [0.0] * len(heights)
    for rank, i in enumerate(order):
        out[i] = levels[rank] + rank * gap
    return out
