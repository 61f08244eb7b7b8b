# SPDX-License-Identifier: Apache-2.0
"""The one place where a user's file is read, by torch if it is not our own: what the file declares is compared with
what it holds first.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from pathlib import Path

from qap2fpga.frontend.checkpoint import archive
from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet

# A dense network of 100 million weights, with rows beside it, is smaller.
LARGEST = 1 << 30
AGAIN = "it is truncated or not a PyTorch file; save it again"


def load(path: Path) -> object:
    """Return what `torch.save` wrote to `path`: plain values and tensors on the CPU, arrays where it was not needed.

    Raises `QapError` for a file that is none, is larger than is read, unpacks to more than it holds, or would
    run code.
    """
    if path.is_dir():
        raise QapError(f"{path} is a folder", "give the model file in it")
    if not path.exists():
        raise QapError(f"{path} does not exist", "check the path")
    _check_size(path)
    content = archive.read(path)
    if content is not None:
        return content
    import torch

    try:
        with quiet():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path) or _is_pickle(path):
            hint = "nothing was executed; save a state_dict, or the module with qap2fpga.save"
            raise QapError(
                f"{path}: a pickle that is not plain tensors and could run code when loaded", hint
            ) from error
        raise QapError(f"{path} cannot be read: it is not a PyTorch file", AGAIN) from error
    except Exception as error:  # torch and the pickle machine raise whatever the garbage leads them to
        if "TorchScript" in str(error):
            hint = "save a state_dict, or the module with qap2fpga.save"
            raise QapError(f"{path} is a TorchScript archive, which could run code when loaded", hint) from error
        first = (str(error).splitlines() or [""])[0].split(". ")[0] if isinstance(error, OSError | RuntimeError) else ""
        why = first[:160] or "it is not a PyTorch file, or not a whole one"
        raise QapError(f"{path} cannot be read: {why}", AGAIN) from error


def _check_size(path: Path) -> None:
    """Refuse a file that is empty or too large, and an archive whose parts say that they unpack to more than it is."""
    size = path.stat().st_size
    if not size:
        raise QapError(f"{path} is empty", "save it again")
    if size > LARGEST:
        raise QapError(f"{path} has {size:,} bytes, more than the {LARGEST:,} that are read", "save fewer example rows")
    with path.open("rb") as stream:
        is_archive = stream.read(2) == b"PK"
    if not is_archive:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(part.file_size for part in archive.infolist())
    except Exception as error:  # zipfile raises what it likes for a damaged directory
        raise QapError(f"{path} cannot be read: it is not a whole archive", AGAIN) from error
    if declared > size:  # torch.save does not compress
        raise QapError(f"{path} has {size:,} bytes, but its parts unpack to {declared:,}", "save it with torch.save")


def _is_pickle(path: Path) -> bool:
    """Whether a file is a whole pickle; told without executing any of it."""
    try:
        with path.open("rb") as stream:
            return sum(1 for _ in pickletools.genops(stream)) > 2
    except archive.GARBAGE:
        return False
