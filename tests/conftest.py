"""What every test runs under: one thread a worker, a cache of its own, the same examples each time.

HYPOTHESIS_PROFILE=random draws other examples, to look for more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("same", derandomize=True, database=None)
hypothesis.settings.register_profile("random")
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers share the cores, and decoded videos never go to the home folder."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PARTICLECAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
