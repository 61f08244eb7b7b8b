# SPDX-License-Identifier: Apache-2.0
"""Where a build is from: its last call, its stages, its logs and sources, and no file of another place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qap2fpga.report import content, gather, history, origin, page
from tests.support import reports


def build(folder: Path, sources: list[str]) -> Path:
    tree: dict[str, Any] = reports.finished()
    tree["design"] |= {"folder": "rtl", "sources": sources}
    for name in ("build.log", "rtl/a.v", "simulate/make.log", "report.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content.dump(reports.read(tree)) if name == "report.json" else "x")
    history.begin(folder, "qap2fpga build net.pt --board 'my board'", {"board": "my board"})
    history.ended(folder, "model", "model: all", 5.0)
    history.ended(folder, "generate", "generate: rtl", 600.0)
    return folder


def test_the_page_has_command_options_stages_and_links(tmp_path: Path) -> None:
    place = build(tmp_path / "net", ["a.v", "b.v", "../../report.json"])
    one = origin.origin(gather.gather([place]).builds[0])
    assert one.command.startswith("qap2fpga build") and one.options == (("board", "my board"),)
    assert [(stage.title, stage.time, stage.width) for stage in one.stages] == [
        ("model: all", "5.0 s", 0.8), ("generate: rtl", "10 min", 100.0),
    ]  # fmt: skip
    assert one.together.startswith("10 min in all")
    assert one.logs == ("build.log", "simulate/make.log")
    assert one.sources == ("rtl/a.v",), "what is there, inside of the build"
    text = page.of_build(place).read_text()
    for part in ("my board&#39;", 'href="build.log"', 'href="rtl/a.v"', "generate: rtl"):
        assert part in text, part


def test_a_report_alone_is_from_nowhere(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(content.dump(reports.read(reports.finished())))
    one = origin.origin(gather.gather([tmp_path]).builds[0])
    assert (one.at, one.command, one.options, one.stages, one.together, one.logs) == ("", "", (), (), "", ())
    assert "Stages" not in page.render(gather.gather([tmp_path]), tmp_path)
