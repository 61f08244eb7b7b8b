# SPDX-License-Identifier: Apache-2.0
"""Who does work, as a command's options say."""

from __future__ import annotations

import pytest

from qap2fpga.system.errors import QapError
from qap2fpga.system.workers import USUAL, Workers, asked_for
from tests.support.pool_work import square


def test_what_options_ask_for() -> None:
    assert asked_for(None, None, "--jobs") == Workers(USUAL)
    assert asked_for(3, None, "--jobs") == Workers(3)
    assert asked_for(None, "tcp://x:1", "--jobs") == Workers(USUAL, "tcp://x:1")
    for count, scheduler, said in ((0, None, "--jobs is below 1"), (2, "tcp://x:1", "--jobs goes with this machine")):
        with pytest.raises(QapError, match=said):
            asked_for(count, scheduler, "--jobs")


def test_processes_of_this_machine() -> None:
    results: dict[int, int | None] = {}
    Workers(2).each(square, [1, 2, 3], lambda item, result: results.update({item: result}))
    assert results == {1: 1, 2: 4, 3: 9}


def test_nothing_to_do_asks_no_cluster() -> None:
    Workers(scheduler="tcp://127.0.0.1:9").each(square, [], lambda item, result: pytest.fail("called"))
