# SPDX-License-Identifier: Apache-2.0
"""`qap2fpga calibrate`: measure random designs, fit, write the calibration file and a page of its errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from qap2fpga import stages
from qap2fpga.errors import QapError, nearest
from qap2fpga.files import write_atomically
from qap2fpga.predict import campaign, draw, fit
from qap2fpga.predict.calibration import GENERATORS, fingerprint
from qap2fpga.predict.fit import Held


def calibrate(
    backend: str, designs: int, seed: int, processes: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure `designs` random designs of `backend`, as many as are not in `folder` yet, and write there:

    `designs.jsonl` (a line a design, kept while the generator stays the same), `calibration.yaml`, `page.md` and
    `page.svg`. Returns the calibration's content. Raises `QapError` for an unknown backend and for too few designs.
    """
    if backend not in GENERATORS:
        raise QapError(f"no designs of backend '{backend}' can be measured here", nearest(backend, GENERATORS))
    if designs < fit.LEAST_DESIGNS or processes < 1:
        raise QapError(
            f"{designs} designs in {processes} processes", f"give {fit.LEAST_DESIGNS} designs and 1 process at least"
        )
    _same_generator(backend, folder)
    lines = campaign.run(backend, draw.recipes(designs, seed), folder / "designs.jsonl", processes, say)
    command = f"qap2fpga calibrate --backend {backend} --designs {designs} --seed {seed}"
    versions = {name: value or "absent" for name, value in stages.versions().items()}
    content, held = fit.fit(backend, lines, command, versions)
    head = "# SPDX-License-Identifier: Apache-2.0\n# Written by the command below; qap2fpga/predict says how.\n"
    write_atomically(folder / "calibration.yaml", head + yaml.safe_dump(content, sort_keys=False, width=110))
    write_atomically(folder / "page.md", page(content))
    _plot(content, held, folder / "page.svg")
    say(f"wrote {folder / 'calibration.yaml'}, page.md and page.svg")
    return content


def _same_generator(backend: str, folder: Path) -> None:
    """Designs of another generator are of no use to this one: they must not be mixed up."""
    stamp = folder / "generator.json"
    now = {"backend": backend, "fingerprint": fingerprint(backend)}
    if stamp.is_file() and json.loads(stamp.read_text()) != now:
        raise QapError(
            f"{folder} holds designs of another backend, or of an older generator or tool",
            "choose another folder with --output, or remove this one",
        )
    write_atomically(stamp, json.dumps(now))


def page(content: dict[str, Any]) -> str:
    """The calibration as a page: what was measured, how far off predictions are, and on which designs."""
    designs = content["designs"]
    tools = ", ".join(f"{name} {value}" for name, value in content["tools"].items())
    text = [
        f"# Calibration of the {content['backend']} backend",
        "",
        f"{designs['fitted']} random designs were fitted, {designs['held_back']} were held back, "
        f"{designs['held_back_of_jet_size']} of these with 1,000 non-zero weights and more; {designs['failed']} could "
        f"not be built. Measured by Yosys after synthesis ({tools}), no placement. Made by",
        "",
        f"    {content['command']}",
        "",
        "![predicted against measured](page.svg)",
        "",
        "## Errors",
        "",
        "| number | designs | size | n | mean error | largest |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for resource, part in content["resources"].items():
        for kind in ("cross_validated", "held_back"):
            for size, row in part[kind].items():
                if isinstance(row, dict):
                    text.append(
                        f"| {resource.upper()} | {kind.replace('_', ' ')} | {size} | {row['designs']} | "
                        f"{row['mean_percent']} % | {row['largest_percent']} % |"
                    )
    text += ["", "Exact by construction, and checked on every design that has the number:", ""]
    for name, row in content["exact"].items():
        text.append(f"- {name.replace('_', ' ')}: {row['differing']} of {row['designs']} designs differ")
    text += ["", "## Range", "", "| | least | most |", "| --- | ---: | ---: |"]
    text += [f"| {name.replace('_', ' ')} | {low:g} | {high:g} |" for name, (low, high) in content["range"].items()]
    text += ["", "Outside of it a prediction says so, and its interval is wider.", ""]
    return "\n".join(text)


def _plot(content: dict[str, Any], held: Sequence[Held], path: Path) -> None:
    """Predicted against measured of the held-back designs, one panel a resource."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    names = list(content["resources"])
    with matplotlib.rc_context({"svg.hashsalt": "qap2fpga", "svg.fonttype": "none"}):
        figure, panels = pyplot.subplots(1, len(names), figsize=(5 * len(names), 4.6), squeeze=False)
        for panel, name in zip(panels[0], names, strict=True):
            for kind, mark in (("layer", "o"), ("network", "s"), ("jet", "^")):
                rows = [row for row in held if row.kind == kind]
                measured = [row.measured[name] for row in rows]
                panel.loglog(measured, [row.predicted[name] for row in rows], mark, ms=4, mfc="none", label=kind)
            ends = panel.get_xlim()
            panel.loglog(ends, ends, "-", color="0.6", lw=1)
            panel.set(xlabel=f"{name.upper()} measured by Yosys", ylabel=f"{name.upper()} predicted")
            panel.legend(title="held back")
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
