# SPDX-License-Identifier: Apache-2.0
"""What FINN wants of its surroundings: a build folder, a settings object, silence, and a known version."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet

# The patches of the copied sources, and the reading of FINN's graphs, were tested with exactly these.
TESTED = ("1.6.1",)


def version() -> str:
    """The installed finn-plus version. Raises `QapError` if it is missing or not one that was tested."""
    try:
        version = metadata.version("finn-plus")
    except metadata.PackageNotFoundError as error:
        raise QapError("finn-plus is not installed", f"pip install finn-plus=={TESTED[-1]}") from error
    if version not in TESTED:
        raise QapError(
            f"finn-plus {version} was not tested with this program (tested: {' to '.join({TESTED[0], TESTED[-1]})})",
            f"pip install finn-plus=={TESTED[-1]}",
        )
    return version


@contextlib.contextmanager
def session(parent: Path) -> Iterator[Path]:
    """Run FINN transformations inside: its settings made, its temporary folder gone afterwards.

    FINN writes generated code into folders of random names; here below one in `parent`, which the caller
    copies from before leaving. The environment is as before afterwards.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".finn-", dir=parent))).resolve()
        stack.callback(_restore_environment, dict(os.environ))
        os.environ.pop("FINN_SETTINGS", None)
        os.environ["FINN_BUILD_DIR"] = str(scratch)
        # It makes a folder there; a user of a cluster or a container may have no home that can be written.
        os.environ["HOME"] = str(scratch)
        with quiet():
            from finn.util import settings

            stack.callback(setattr, settings, "_SETTINGS", settings._SETTINGS)
            settings.initialize_dummy_settings()
        settings.get_settings().finn_build_dir = scratch
        yield scratch


def rtllib() -> Path:
    """The folder of FINN's RTL library, as installed."""
    import finn

    return Path(finn.__path__[0]) / "finn-rtllib"


def _restore_environment(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
