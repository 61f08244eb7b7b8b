# SPDX-License-Identifier: Apache-2.0
"""`qap2fpga calibrate`: measure random designs, fit, write the calibration file and a page of its errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from qap2fpga.estimate import calibration, campaign, designs, fit
from qap2fpga.estimate.calibration import GENERATORS, IMAGES, VECTORS, fingerprint
from qap2fpga.estimate.fit import Held
from qap2fpga.system import versions as stamps
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import write_atomically
from qap2fpga.system.workers import Workers


def calibrate(
    backend: str, number: int, jets: int, seed: int, workers: Workers, folder: Path, say: Callable[[str], None],
    over: str = VECTORS,
) -> dict[str, Any]:  # fmt: skip
    """Measure so many random designs of `backend` and `jets` more of jet size, as many as are not in `folder` yet.

    `over`: networks over 'vectors' or 'images'. Writes there: `designs.jsonl` (a line per design, kept while the
    generator makes the same hardware), the calibration under the name that it is shipped by, a page and a picture.
    Returns the content. Raises `QapError` for an unknown backend and for too few designs.
    """
    _check(backend)
    if over not in (VECTORS, IMAGES):
        raise QapError(f"no designs over '{over}' can be drawn", nearest(over, (VECTORS, IMAGES)))
    if over == IMAGES and jets:
        raise QapError("designs of jet size are over vectors", "leave --jets out")
    if number + jets < fit.LEAST_DESIGNS:
        raise QapError(f"{number + jets} designs", f"give {fit.LEAST_DESIGNS} at least")
    specimens = _same_generator(backend, over, workers, folder, say)
    lines = campaign.run(backend, designs.recipes(over, number, seed, jets), folder / "designs.jsonl", workers, say)
    say("what is expected of the designs")
    lines = campaign.with_expectations(lines, workers)
    command = f"qap2fpga calibrate --backend {backend} --designs {number} --jets {jets} --seed {seed}"
    command += f" --over {over}" if over != VECTORS else ""
    versions = {name: value or "absent" for name, value in stamps.versions().items()}
    content, held = fit.fit(backend, lines, (specimens, campaign.expectations(backend, over)), command, versions)
    content["over"] = over
    if over == IMAGES:
        # Bit operations are of every position, hardware that is used for all of them is there once.
        content["lut_per_bop"] = None
    name, written = title(backend, over), folder / calibration.file(backend, over).name
    _write(content, written)
    write_atomically(folder / f"{name}.md", page(content))
    _plot(content, held, folder / f"{name}.svg")
    say(f"wrote {written}, {name}.md and {name}.svg")
    return content


def title(backend: str, over: str) -> str:
    """Return what a calibration's folder, page and picture are called."""
    return backend if over == VECTORS else f"{backend}-{over}"


def confirm(backend: str, workers: Workers, path: Path | None = None, over: str = VECTORS) -> bool:
    """Whether the calibration of `backend` is of the hardware that is made now, and of what is expected of it now.

    It is the one at `path`, else the shipped one. If so it is marked as of this version of the program: after changes
    that changed neither, that is all it needs.
    """
    _check(backend)
    path = path or calibration.file(backend, over)
    if not path.is_file():
        raise QapError(f"there is no {path}", f"qap2fpga calibrate --backend {backend}")
    content = yaml.safe_load(path.read_text())
    if content["fingerprint"] == fingerprint(backend):
        return True
    if content["expected"] != campaign.expectations(backend, over):
        return False
    if content["specimens"] != campaign.specimens(backend, workers, over):
        return False
    _write(content | {"fingerprint": fingerprint(backend)}, path)
    return True


def _check(backend: str) -> None:
    if backend not in GENERATORS:
        raise QapError(f"no designs of backend '{backend}' can be measured here", nearest(backend, GENERATORS))


def _write(content: dict[str, Any], path: Path) -> None:
    head = "# SPDX-License-Identifier: Apache-2.0\n# Written by the command below; qap2fpga/estimate says how.\n"
    write_atomically(path, head + yaml.safe_dump(content, sort_keys=False, width=110))


def _same_generator(backend: str, over: str, workers: Workers, folder: Path, say: Callable[[str], None]) -> str:
    """The digest of the specimens of `folder`'s designs. Designs of another generator must not be mixed up with them:
    raises `QapError`."""
    stamp = folder / "generator.json"
    before = json.loads(stamp.read_text()) if stamp.is_file() else None
    now = {"backend": backend, "fingerprint": fingerprint(backend)}
    if before is None or before["fingerprint"] != now["fingerprint"]:
        say("a few designs tell whether the generator is the same")
        now["specimens"] = campaign.specimens(backend, workers, over)
        if before is not None and (before["backend"], before["specimens"]) != (backend, now["specimens"]):
            raise QapError(
                f"{folder} holds designs of another backend, or of an older generator or tool",
                "choose another folder with --output, or remove this one",
            )
        write_atomically(stamp, json.dumps(now))
        return now["specimens"]
    return str(before["specimens"])


def page(content: dict[str, Any]) -> str:
    """The calibration as a page: what was measured, how far off predictions are, and on which designs."""
    drawn = content["designs"]
    tools = ", ".join(f"{name} {value}" for name, value in content["tools"].items())
    text = [
        f"# Calibration of the {content['backend']} backend over {content.get('over', VECTORS)}",
        "",
        f"{drawn['fitted']} random designs were fitted, {drawn['held_back']} were hold-out, "
        f"{drawn['held_back_of_jet_size']} of these with 1,000 non-zero weights and more; {drawn['failed']} could "
        f"not be built. Measured by Yosys after synthesis ({tools}), no placement. Made by",
        "",
        f"    {content['command']}",
        "",
        f"![predicted against measured]({title(content['backend'], content.get('over', VECTORS))}.svg)",
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
    for resource, part in content["resources"].items():
        outside = part["held_back"]["outside_interval"]
        text += ["", f"{resource.upper()}: {outside} of {drawn['held_back']} hold-out designs were outside of the "
                 "interval that the fitted ones gave; it has been widened to them since."]  # fmt: skip
    text += [
        "",
        "These follow from the structure of a design, and were counted in every design that has the number:",
        "",
    ]
    for name, row in content["counted"].items():
        ends = f", measured {row['low']:.2g} to {row['high']:.2g} times the prediction" if row["differing"] else ""
        text.append(f"- {name.replace('_', ' ')}: {row['differing']} of {row['designs']} designs differ{ends}")
    text += ["", "## Range", "", "| | least | most |", "| --- | ---: | ---: |"]
    text += [f"| {name.replace('_', ' ')} | {low:g} | {high:g} |" for name, (low, high) in content["range"].items()]
    text += ["", "Outside of it a prediction says so, and its interval is wider.", ""]
    return "\n".join(text)


def _plot(content: dict[str, Any], held: Sequence[Held], path: Path) -> None:
    """Predicted against measured of the hold-out designs, one panel a resource."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    names = list(content["resources"])
    with matplotlib.rc_context({"svg.hashsalt": "qap2fpga", "svg.fonttype": "none"}):
        figure, panels = pyplot.subplots(1, len(names), figsize=(5 * len(names), 4.6), squeeze=False)
        for panel, name in zip(panels[0], names, strict=True):
            for kind, mark in (("layer", "o"), ("network", "s"), ("jet", "^"), ("image", "o")):
                rows = [row for row in held if row.kind == kind]
                if not rows:
                    continue
                measured = [row.measured[name] for row in rows]
                panel.loglog(measured, [row.predicted[name] for row in rows], mark, ms=4, mfc="none", label=kind)
            ends = panel.get_xlim()
            panel.loglog(ends, ends, "-", color="0.6", lw=1)
            panel.set(xlabel=f"{name.upper()} measured by Yosys", ylabel=f"{name.upper()} predicted")
            panel.legend(title="hold-out")
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
