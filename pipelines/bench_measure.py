"""One measurement, in a process of its own; `bench` starts it and reads its stdout.

python -m pipelines.bench_measure '{"task": "machine", "seconds": 1}'
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from dlp.config import DLPConfig
from dlp.model import DLP
from dlp.reference import full_canvas
from pipelines.allocator import keep_memory
from pipelines.bench import Case, linux_bytes
from pipelines.bench_cost import operators, timed
from pipelines.bench_dynamics import measure_dynamics
from pipelines.bench_landmarks import measure_landmarks
from pipelines.config import STAGE1
from pipelines.devices import has_bfloat16
from pipelines.provenance import machine

ROUNDS = 3  # at least, whatever they take
MATRIX, COPIED = 1024, 2**25
THINGS = 5  # in a frame
RATE = 1e-6
"""A learning rate that leaves the model where it began: later steps are the same work."""


def still_camera(case: Case) -> Tensor:
    """Frames [b, 3, size, size] of things before a background that stays where it is."""
    image = torch.rand(3, case.size, case.size).repeat(case.batch, 1, 1, 1)
    side = case.size // 8
    for frame in image:
        for _ in range(THINGS):
            x, y = torch.randint(case.size - side, (2,)).tolist()
            frame[:, y : y + side, x : x + side] = torch.rand(3, 1, 1)
    return image


class Training:
    """A model and its training step as the engine makes it, past the warm-up.

    Args:
        case: the configuration.
    """

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        self.narrow = has_bfloat16()
        config = DLPConfig(
            particles=case.particles,
            n_prior=case.proposals,
            patch=case.patch,
            glimpse=case.glimpse,
        )
        self.model = DLP(config, (case.size, case.size))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=RATE, weight_decay=0.0, fused=True
        )
        self.image = still_camera(case)
        self.model.start_from(self.image.median(0).values)

    def step(self) -> None:
        """Loss, backward, clip, step."""
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.narrow):
            loss = self.model.loss(self.image, 1.0)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), STAGE1.clip)
        self.optimizer.step()

    @contextmanager
    def full(self) -> Iterator[None]:
        """While entered, steps are in float32 alone."""
        narrow, self.narrow = self.narrow, False
        try:
            yield
        finally:
            self.narrow = narrow


def measure_speed(case: Case, seconds: float, naive: bool) -> dict[str, Any]:
    """Images a second of training, encoding and decoding, and of the same with full canvases."""
    training = Training(case)
    model, image = training.model, training.image
    slow = full_canvas if naive else None
    found = {"train": alternate(training.step, case.batch, seconds, slow)}
    model.eval()
    with torch.no_grad():
        particles = model.encode(image).particles
        found["encode"] = alternate(lambda: model.encode(image), case.batch, seconds, slow)
        found["decode"] = alternate(lambda: model.decode(particles), case.batch, seconds, slow)
    return found


Way = Callable[[], AbstractContextManager[None]]
"""Makes a context in which some work is done another way."""


def alternate(
    work: Callable[[], object], batch: int, seconds: float, slow: Way | None
) -> dict[str, float]:
    """Images a second of some work; a slower way takes turns with it, for a paired ratio.

    Returns:
        fast, and with `slow` also naive, both images/s from medians over the rounds, and ratio,
        the median of the slow time over the fast one's of the same round.
    """
    ways: list[Way] = [nullcontext, *([slow] if slow else [])]
    rounds: list[list[float]] = []
    started = time.perf_counter()
    while len(rounds) <= ROUNDS or time.perf_counter() - started < seconds * len(ways):
        rounds.append([])
        for way in ways:
            with way():
                rounds[-1].append(timed(work))
    columns = list(zip(*rounds[1:], strict=True))  # the first prepares: memory, kernels
    rates = [batch / statistics.median(column) for column in columns]
    found = dict(zip(("fast", "naive"), rates, strict=False))
    if slow:
        found["ratio"] = statistics.median(slow / fast for fast, slow in zip(*columns, strict=True))
    return found


def measure_memory(case: Case, naive: bool) -> dict[str, float]:
    """Peak memory in MB of two training steps, and of the imports before them."""
    before = peak_bytes()
    training = Training(case)
    with full_canvas() if naive else nullcontext():
        for _ in range(2):  # Adam's moments are there from the second on
            training.step()
    return {"peak": peak_bytes() / 1e6, "imports": before / 1e6}


def peak_bytes() -> int:
    """The most memory that this process has had.

    Linux's ru_maxrss would not do: it begins with what the parent held when it started this one.
    """
    peak = linux_bytes("/proc/self/status", "VmHWM")
    return peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operators read and write, as if nothing stayed in a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Count one operator."""
        result = func(*args, **(kwargs or {}))
        read = _tensors((args, kwargs))
        # Operators on lists of tensors write to their first argument and return nothing.
        written = _tensors(result) or _tensors(args[:1])
        held = {tensor.untyped_storage().data_ptr() for tensor in read}
        view = any(tensor.untyped_storage().data_ptr() in held for tensor in written)
        if func._schema.is_mutable or not view:
            self.bytes += sum(_bytes(tensor) for tensor in read + written)
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Bytes behind a tensor; an expanded one repeats its storage."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def measure_cost(case: Case, seconds: float) -> dict[str, Any]:
    """Operations, bytes and seconds of a training step, and where they go."""
    training = Training(case)
    speed = alternate(training.step, case.batch, seconds, training.full)
    with FlopCounterMode(display=False) as arithmetic:
        training.step()
    with Traffic() as traffic:
        training.step()
    return {
        "seconds": case.batch / speed["fast"],
        "float32": {"rate": speed["naive"], "ratio": speed["ratio"]},
        "flops": arithmetic.get_total_flops(),
        "bytes": traffic.bytes,
        "operators": operators(training.step),
    }


def measure_machine(seconds: float) -> dict[str, Any]:
    """What the figures are made on, and its ceilings with as many threads: GFLOP/s and GB/s."""
    one, other = torch.rand(2, MATRIX, MATRIX)
    source, target = torch.rand(2, COPIED)
    product = _best(lambda: torch.mm(one, other), seconds)
    narrow = has_bfloat16()
    one, other = (one.bfloat16(), other.bfloat16()) if narrow else (one, other)
    trained = _best(lambda: torch.mm(one, other), seconds)
    copy = _best(lambda: target.copy_(source), seconds)
    return {
        **machine(),
        "gflops": 2 * MATRIX**3 / product / 1e9,
        "bfloat16": narrow,
        "trained_gflops": 2 * MATRIX**3 / trained / 1e9,
        "gbytes": 2 * source.nbytes / copy / 1e9,
    }


def _best(work: Callable[[], object], seconds: float) -> float:
    """The least seconds of some work."""
    times = [timed(work) for _ in range(ROUNDS)]
    while sum(times) < seconds:
        times.append(timed(work))
    return min(times)


def main(words: str) -> None:
    """Do the task that a JSON object names, and print what was found as another."""
    keep_memory()
    options = json.loads(words)
    task, seconds = options["task"], options["seconds"]
    if task == "machine":
        found = measure_machine(seconds)
    elif task == "dynamics":
        found = measure_dynamics(seconds)
    elif task == "landmarks":
        before = peak_bytes()
        found = measure_landmarks(options["model"], seconds)
        found |= {"peak": peak_bytes() / 1e6, "imports": before / 1e6}
    else:
        case = Case(**options["case"])
        if task == "cost":
            found = measure_cost(case, seconds)
        elif task == "memory":
            found = measure_memory(case, options["naive"])
        else:
            found = measure_speed(case, seconds, options["naive"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
