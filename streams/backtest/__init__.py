"""Replay a log through the scoring, judge it against baselines, and fit a policy to it."""

import os

# The matrices are narrow: threads of the linear algebra would only wait for each other.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
