# SPDX-License-Identifier: Apache-2.0
"""Device families: every one is complete, for all packages that it is a key of."""

from __future__ import annotations

import pytest

from qap2fpga.backends import BACKENDS
from qap2fpga.hw import families
from qap2fpga.hw.families import FAMILIES, Family
from qap2fpga.hw.resources import EVERY, NAMES
from qap2fpga.synth import yosys
from qap2fpga.synth.mapping import MAPPERS
from qap2fpga.system.files import shipped


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_complete(family: Family) -> None:
    assert FAMILIES[family.name] is family
    assert family.cells in MAPPERS
    assert set(family.backends) <= set(BACKENDS)
    assert tuple(family.labels) == NAMES
    assert set(NAMES) <= set(family.counted) <= {one.name for one in EVERY}
    assert all((shipped("flows") / name).is_file() for name in family.models)
    assert all(yosys.library(name).is_file() for name in family.library)
    assert family.amd != family.open_route, "each has one way to a bitstream"
    assert family.estimated == family.amd


def test_only_7_series_is_timed_and_only_ultrascale_plus_has_ultraram() -> None:
    assert [one.name for one in FAMILIES.values() if one.timed] == ["xc7"]
    assert [one.name for one in FAMILIES.values() if "uram" in one.counted] == ["xcup"]


@pytest.mark.parametrize("name", [None, "", "xc8"])
def test_a_report_without_a_known_family_is_of_amds_tools(name: str | None) -> None:
    assert families.of(name) is families.OF_OTHER_REPORTS
    assert families.of(name).labels["lut"] == "LUT" and families.of(name).amd


def test_a_report_names_its_family() -> None:
    assert families.of("ecp5").labels["lut"] == "TRELLIS_COMB" and not families.of("ecp5").estimated
