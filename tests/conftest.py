"""Shared by all tests: one thread (sums do not depend on the number of cores), hypothesis without deadlines."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("causalkit", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("causalkit")


@pytest.fixture(scope="session")
def warm():
    """A process to fork kernels from; None where that cannot be done."""
    from causalkit.runs import warm_parent

    with warm_parent() as parent:
        yield parent
