# SPDX-License-Identifier: Apache-2.0
"""What upsampling (qap_repeat.sv) means: a queue of two rows, of which one is read again and again."""

from __future__ import annotations

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn.machine import Meaning, Values, Words
from qap2fpga.prove.finn.modules import DATA, READY, VALID, Kind


def repeat(columns: int, fold: int, row_times: int, column_times: int, memory: str) -> Kind:
    """Every row so many times, every position of it so many times, each in `fold` beats.

    `held` beats have come since the row that is read began, `half` says where: beat n of them is in word n, or in the
    one that lies a row further on, round about. The next one that is read is number `column_at` + `fold`.
    """
    row = columns * fold
    rows = [f"{memory}.rows[{at}]" for at in range(2 * row)]
    names = ("write_at", "held", "half", "column_at", "fold", "column_time", "row_time", "valid")

    def spec(words: Words, values: Values) -> Meaning:
        write_at, held, (half,), column, part, column_time, row_time, (valid,) = (values[name] for name in names)
        (runs,), size = values["ap_rst_n"], len(held)
        if 2 * row >> size or (row - fold) >> len(column):
            raise NotProven("registers that do not count all beats of two rows")
        takes = words.is_below(held, 2 * row)
        write, move = words.every([*values[VALID], takes]), words.some([valid ^ 1, *values[READY]])
        number = words.plus(*(words.wider(one, size, signed=False) for one in (column, part)))
        there = words.is_larger([*held, 0], [*number, 0])
        read = words.every([move, there])
        # What ends with this beat: the position once, for the last time, the row once, for the last time.
        once = words.every([read, words.is_equal(part, fold - 1)])
        position = words.every([once, words.is_equal(column_time, column_times - 1)])
        across = words.every([position, words.is_equal(column, row - fold)])
        done = words.every([across, words.is_equal(row_time, row_times - 1)])
        begins = words.choose(half, words.constant(row, size), words.constant(0, size))
        source = words.of(words.plus(begins, number), [*(values[name] for name in rows)])
        onward = words.plus(column, words.constant(fold, len(column)))
        gone = words.choose(done, words.constant(-row, size), words.constant(0, size))
        becomes = {
            "write_at": words.choose(write, words.next_of(write_at, 2 * row), write_at),
            "held": words.plus(words.plus(held, gone), words.wider([write], size, signed=False)),
            "half": [words.graph.differ(half, done)],
            "fold": words.choose(read, words.next_of(part, fold), part),
            "column_time": words.choose(once, words.next_of(column_time, column_times), column_time),
            "column_at": words.choose(across, words.constant(0, len(column)), words.choose(position, onward, column)),
            "row_time": words.choose(across, words.next_of(row_time, row_times), row_time),
            "valid": [words.graph.choose(move, valid, there)],
        }  # fmt: skip
        kept = {name: words.choose(words.every([write, words.is_equal(write_at, at)]), values[DATA], values[name])
                for at, name in enumerate(rows)}  # fmt: skip
        following = words.plus(begins, held)
        following = words.choose(words.is_below(following, 2 * row), following,
                                 words.plus(following, words.constant(-2 * row, size)))  # fmt: skip
        return Meaning(
            {"in0_V_TREADY": [takes], "out0_V_TVALID": [valid]},
            {**{name: words.choose(runs, word, words.constant(0, len(word))) for name, word in becomes.items()},
             **kept, "out0_V_TDATA": words.choose(read, source, values["out0_V_TDATA"])},
            words.every([
                words.is_below(held, 2 * row + 1), words.is_equal(words.wider(write_at, size, signed=False), following),
                words.some(words.is_equal(column, at) for at in range(0, row, fold)), words.is_below(part, fold),
                words.is_below(column_time, column_times), words.is_below(row_time, row_times),
            ]),
        )  # fmt: skip

    return Kind({**dict.fromkeys(names, 0), **dict.fromkeys([*rows, "out0_V_TDATA"])}, spec)
