import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import torch
if sys.argv[1] == "kept":
    from pipelines.allocator import keep_memory
    keep_memory()
def step():
    tensors = [torch.ones(1_000_000) for _ in range(20)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is tuned")
def test_memory_that_was_freed_is_taken_again_with_fewer_faults():
    given_back, kept = faults("given back"), faults("kept")
    assert given_back > 1000  # 80 MB are 20,000 pages, or some 40 of 2 MB
    assert kept < given_back / 2
