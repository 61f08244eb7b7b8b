# SPDX-License-Identifier: Apache-2.0
"""The bits between the ports and the inside; the faults in their logic are in `test_frames.py`, in real designs."""

from __future__ import annotations

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.gate import Gate, net
from qap2fpga.prove.handshake import ports
from qap2fpga.prove.reading import Module, modules
from tests.support.circuits import IN_VALID, chain_of_valid


@pytest.fixture
def module() -> Module:
    return modules(chain_of_valid(2))["m"]


def test_a_net_is_known_by_its_name(module: Module) -> None:
    assert net(module, "in0_TVALID") == IN_VALID
    for name in ("valid", "other"):
        with pytest.raises(NotProven, match=f"no net '{name}' of one bit"):
            net(module, name)


def test_taken_is_a_register_that_begins_as_0(module: Module) -> None:
    own = ports(module, "in0", "out0")
    first, last = module.named["valid"]
    gate = Gate(module, own, net(module, "move"), own.in_valid, 0, last, first)
    assert gate.register.out == first
    with pytest.raises(NotProven, match="'taken' is no register"):
        _ = Gate(module, own, gate.move, own.in_valid, 0, last, gate.move).register
    with pytest.raises(NotProven, match="TVALID is not a result"):
        gate.moves({last: 0})
    with pytest.raises(NotProven, match="depends on what is not known"):
        Gate(module, own, gate.move, own.in_valid, 0, first, first).moves({})
