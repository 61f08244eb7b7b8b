# SPDX-License-Identifier: Apache-2.0
"""Builds whose hardware is spoiled as it is made: a file that changes later would only be made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.build import making
from qap2fpga.build.request import Request


def spoil_what_is_generated(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]) -> None:
    """From now on `change` gets the build's folder when its hardware is generated, before anything is recorded."""
    generate = making.generate

    def spoiled(request: Request, *arguments: Any) -> Any:
        result = generate(request, *arguments)
        change(request.output)
        return result

    monkeypatch.setattr(making, "generate", spoiled)
