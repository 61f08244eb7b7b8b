# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # Reading reports of other tools
#
# Results that Vivado, Vitis HLS, hls4ml or FINN left are read into the same reports as builds have, checked against
# each other, and compared with them. No vendor tool is needed. [Which files are read](../import-report.md).
#
# So that this page runs anywhere, it writes what Vitis HLS would leave of two designs; take the folder of your own
# project instead.

# %%
from pathlib import Path

import qap2fpga

CSYNTH = """<profile><ReportVersion><Version>2022.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><Part>xc7z020-clg400-1</Part><TopModelName>net</TopModelName>
<TargetClockPeriod>5.00</TargetClockPeriod><FlowTarget>vivado</FlowTarget></UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>4.37</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>{latency}</Best-caseLatency><Worst-caseLatency>{latency}</Worst-caseLatency>
<Interval-min>1</Interval-min><Interval-max>1</Interval-max></SummaryOfOverallLatency>
</PerformanceEstimates><AreaEstimates><Resources>
<DSP>{dsp}</DSP><FF>{ff}</FF><LUT>{lut}</LUT><BRAM_18K>0</BRAM_18K>
</Resources></AreaEstimates></profile>"""

for name, numbers in {
    "dense": {"latency": 14, "dsp": 180, "ff": 9200, "lut": 38500},
    "pruned": {"latency": 11, "dsp": 36, "ff": 4100, "lut": 12900},
}.items():
    place = Path("results", name, "solution1", "syn", "report")
    place.mkdir(parents=True, exist_ok=True)
    (place / "csynth.xml").write_text(CSYNTH.format(**numbers))

# %% [markdown]
# ## One design, one report
#
# A `Build` of a design that was not built here: its `resources` say who counted, and at which stage. What C synthesis
# states is several times what Vivado finds, so a number of one stage is never compared with one of another.

# %%
imported = [
    qap2fpga.import_reports(f"results/{name}", board="pynq-z2", output=f"imported/{name}", quiet=True)[0]
    for name in ("dense", "pruned")
]
imported[0]

# %%
imported[1].checks

# %% [markdown]
# ## Side by side
#
# `*` marks the best of those that may be compared; `but` says what keeps a row from being compared.

# %%
comparison = qap2fpga.compare(imported)
comparison.side_by_side

# %% [markdown]
# All numbers with what they rest on, for your own plots:

# %%
table = comparison.to_pandas()
print(table[["name", "stage", "tool", "lut", "dsp", "latency_cycles"]])
print(f"LUTs saved: {1 - table['lut'][1] / table['lut'][0]:.0%}")

# %% [markdown]
# A report that contradicts another is a failed check, and a file that cannot be read is named: both are in `checks`
# and in `report.imported`.

# %%
assert all(one.passed for one in imported)
comparison.page("comparison.html")
