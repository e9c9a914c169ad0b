"""An isotonic curve in log-odds: what came true of what was told, in a few strictly rising knots."""

import numpy as np

from streams.backtest.log import Floats

KNOTS = 10
LEAST_ROWS = 20
"""Of a knot, weighed: fewer say too little."""
LEAST_SLOPE = 0.05
"""Flat pieces would make customers equal whom the sum tells apart."""
APART = 1e-6
HALF = 0.5
"""Of a row at the base rate is added to each knot, so that none is at 0 or 1."""


def fit_curve(logits: Floats, labels: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the knots (told, came true): bins of equal weight, pooled until they rise."""
    order = np.argsort(logits, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    count = int(np.clip(weights.sum() // LEAST_ROWS, 1, KNOTS))
    bins = np.minimum((share * count).astype(np.int64), count - 1).astype(np.int64)
    weight, told, true = (
        np.bincount(bins, column[order], count).astype(np.float64)
        for column in (weights, weights * logits, weights * labels)
    )
    kept = weight > 0
    base = (true.sum() + HALF) / (weight.sum() + 2.0 * HALF)
    x = told[kept] / weight[kept]
    p = pooled((true[kept] + HALF * base) / (weight[kept] + HALF), weight[kept])
    return _rising(x, np.log(p) - np.log1p(-p))


def pooled(values: Floats, weights: Floats) -> Floats:
    """Return the closest non-decreasing values (pool adjacent violators; Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            mean = (before[0] * before[1] + block[0] * block[1]) / total
            block = (mean, total, before[2] + block[2])
        blocks.append(block)
    return np.concatenate([np.full(size, value) for value, _, size in blocks])


def _rising(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Drop knots at the same place and lift flat pieces to the least slope."""
    apart = np.concatenate([[True], np.diff(x) > APART])
    x, y = x[apart], y[apart].copy()
    for right in range(1, len(x)):
        y[right] = max(y[right], y[right - 1] + LEAST_SLOPE * (x[right] - x[right - 1]))
    return x, y
