"""What every test runs under: one thread a worker, and a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers share the cores, and decoded videos never go to the home folder."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PARTICLECAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
