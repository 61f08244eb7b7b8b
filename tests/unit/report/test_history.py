# SPDX-License-Identifier: Apache-2.0
"""What a build says of when it ran: the last call, each stage once, nothing of lines that are not ours."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.report import history


def test_the_last_call_and_each_stage_as_it_ran_last(tmp_path: Path) -> None:
    history.begin(tmp_path, "qap2fpga build a", {"board": "pynq-z2", "classes": (), "vendor": None})
    history.ended(tmp_path, "model", "model: all", 2.0)
    history.ended(tmp_path, "generate", "generate: rtl", 3.0)
    history.begin(tmp_path, "qap2fpga build b", {})
    history.ended(tmp_path, "model", "model: all", 5.004)
    shown = history.load(tmp_path)
    assert shown.asked is not None and shown.asked.command == "qap2fpga build b"
    assert [(one.stage, one.seconds) for one in shown.stages] == [("generate", 3.0), ("model", 5.0)]
    assert shown.seconds == 8.0


def test_nothing_is_known_of_a_folder_without_it(tmp_path: Path) -> None:
    assert history.load(tmp_path) == history.History()


def test_lines_of_others_are_left_out(tmp_path: Path) -> None:
    history.begin(tmp_path, "ours", {"board": "x"})
    with (tmp_path / history.FILE).open("a") as stream:
        stream.write('[1]\n{"stage": "model", "seconds": "long"}\n{"at": 3}\n"text"\nnot json\n')
    shown = history.load(tmp_path)
    assert shown.asked is not None and shown.asked.options == {"board": "x"} and shown.stages == ()
