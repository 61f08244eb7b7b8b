# SPDX-License-Identifier: Apache-2.0
"""What a sparse unit (qap_sparse.sv) does in a cycle; `sparse.py` says what comes of it after a vector.

`begun` says that the `word` of a slot is there, `active` for how many moves since it has been one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qap2fpga.prove.finn.machine import Meaning, Values, Word, Words
from qap2fpga.prove.finn.modules import DATA, READY, VALID, Kind, beat_of, lanes_of
from qap2fpga.prove.finn.sparse import NOTHING, Unit

# Groups that read the same copy of a bank in LUTs.
READERS = 3
COUNTERS = ("beat", "write_page", "full", "todo", "slot", "read_page", "begun", "begun_final", "begun_page", "emit",
            "active")  # fmt: skip


def kind(unit: Unit) -> Kind:
    """Return what `unit` does. Raises `NotProven` for sizes and memories that it cannot have."""
    names, program = _names(unit), [row.tolist() for row in unit.program.bits]

    def spec(words: Words, values: Values) -> Meaning:
        now = _Now(unit, names, words, values)
        becomes, always = _control(now, program)
        matters = _products(now, becomes)
        _pages(now, becomes)
        gives = _sums(now, becomes)
        return Meaning(
            {"in0_V_TREADY": [values["full"][1] ^ 1], "out0_V_TVALID": values["emit"][-1:],
             "out0_V_TDATA": beat_of(gives)}, becomes, words.every([always, *_in_reach(now)]), matters,
        )  # fmt: skip

    begins = dict.fromkeys(COUNTERS, 0) | dict.fromkeys(names.counts + names.counters, 0)
    return Kind(begins | dict.fromkeys(names.firsts, 1) | dict.fromkeys(names.data), spec)


@dataclass(frozen=True)
class _Names:
    """Registers by name: `counts` of each bank, `firsts` of each group, `counters` of queues; `data` begin as any."""

    counts: tuple[str, ...]
    firsts: tuple[str, ...]
    counters: tuple[str, ...]
    data: tuple[str, ...]
    # By bank and copy, the words of both pages.
    pages: tuple[tuple[tuple[str, ...], ...], ...]
    waiting: tuple[tuple[str, ...], ...]
    lasts: tuple[str, ...]


def _names(unit: Unit) -> _Names:
    simd, _, banks, _, groups, _, queue = unit.sizes
    levels = (banks - 1).bit_length()
    block = bool(unit.one.number("BLOCK_BANKS"))
    copies = [f"gen_group[{group}]" for group in range(groups)] if block else [
        f"gen_copy[{group}]" for group in range(0, groups, READERS)]  # fmt: skip
    pages = tuple(
        tuple(tuple(f"gen_bank[{bank}].gen_memory.{copy}.pages[{at}]" for at in range(2 << unit.place_bits))
              for copy in copies) for bank in range(banks)
    )  # fmt: skip
    lanes = [f"gen_bank[{bank}].gen_lane[{group}]" for bank in range(banks) for group in range(groups)]
    several = ".gen_several" if queue > 1 else ".gen_one"
    waiting = tuple(
        tuple(f"gen_group[{group}].gen_queue{several}.waiting{f'[{at}]' if queue > 1 else ''}" for at in range(queue))
        for group in range(groups)
    )  # fmt: skip
    lasts = tuple(f"gen_last[{at}].mark" for at in range(levels + 2))
    data = ["word", *lasts, *(word for bank in pages for copy in bank for word in copy)]
    data += [f"{lane}.{name}" for lane in lanes for name in ("weight", "product")]
    data += [f"{lane}.gen_value.{'chosen' if block else 'data'}" for lane in lanes]
    if block:
        data += [f"gen_bank[{bank}].gen_memory.{copy}.data" for bank in range(banks) for copy in copies]
    for group in range(groups):
        data += [f"gen_group[{group}].gen_node[{at}].data" for at in range((1 << levels) - 1)]
        data += [f"gen_group[{group}].sum", *([f"gen_group[{group}].gen_queue.data"] if queue else [])]
        data += waiting[group]
    backs = [f"gen_group[{group}].gen_queue.gen_several.back" for group in range(groups)] if queue > 1 else []
    return _Names(
        tuple(f"gen_bank[{bank}].gen_place.count" for bank in range(banks)) if banks > simd else (),
        tuple(f"gen_group[{group}].first" for group in range(groups)),
        (*(["front"] if queue > 1 else []), *backs), tuple(data), pages, waiting, lasts,
    )  # fmt: skip


class _Now:
    """The values of a cycle, and what is decided in it."""

    def __init__(self, unit: Unit, names: _Names, words: Words, values: Values) -> None:
        self.unit, self.names, self.words, self.values = unit, names, words, values
        _, beats, banks, _, _, slots, queue = unit.sizes
        stages = (banks - 1).bit_length() + 2
        sizes = {"emit": stages + 1 + (queue > 0), "active": stages, **dict.fromkeys(names.counts, unit.place_bits)}
        if any(len(values[name]) != size for name, size in sizes.items()):
            raise ValueError("registers of other sizes")
        self.runs = values["ap_rst_n"][0]
        self.move = words.some([values["emit"][-1] ^ 1, *values[READY]])
        self.write = words.every([*values[VALID], values["full"][1] ^ 1])
        self.filled = words.every([self.write, words.is_equal(values["beat"], beats - 1)])
        self.step = words.every([self.move, words.some(values["todo"])])
        self.final = words.every([self.step, words.is_equal(values["slot"], slots - 1)])
        self.add = words.every([self.move, values["active"][-1]])

    def moved(self, name: str, word: Word) -> Word:
        """Return `word` at a move, else what the register holds."""
        return self.words.choose(self.move, word, self.values[name])

    def reset(self, word: Word, begins: int = 0) -> Word:
        """Return `word` but at a reset."""
        return self.words.choose(self.runs, word, self.words.constant(begins, len(word)))

    def lane(self, group: int, bank: int) -> list[Word]:
        """Return the weight, the place and which value there, as the word that is there has them."""
        sizes, (_, _, banks, _, groups, _, _) = self.unit.field_sizes, self.unit.sizes
        task = self.values["word"][1 + groups + (group * banks + bank) * sum(sizes) :][: sum(sizes)]
        return [task[: sizes[0]], task[sizes[0] : sizes[0] + sizes[1]], task[sizes[0] + sizes[1] :]]


def _control(now: _Now, program: Sequence[Word]) -> tuple[dict[str, Word], int]:
    """Return what counters become, and what always holds of them."""
    words, values, (_, beats, _, _, groups, slots, _) = now.words, now.values, now.unit.sizes
    beat, full, todo, slot, begun = (values[name] for name in ("beat", "full", "todo", "slot", "begun"))
    freed = words.every([now.move, *begun, *values["begun_final"]])

    def counted(count: Word, up: int, down: int) -> Word:
        return words.plus(words.plus(count, [up, 0]), [down, down])

    becomes = {
        "beat": now.reset(words.choose(now.write, words.next_of(beat, beats), beat)),
        "write_page": now.reset([words.graph.differ(values["write_page"][0], now.filled)]),
        "full": now.reset(counted(full, now.filled, freed)), "todo": now.reset(counted(todo, now.filled, now.final)),
        "slot": now.reset(words.choose(now.step, words.next_of(slot, slots), slot)),
        "read_page": now.reset([words.graph.differ(values["read_page"][0], now.final)]),
        "begun": now.reset(now.moved("begun", [now.step])),
        "begun_final": now.moved("begun_final", [words.is_equal(slot, slots - 1)]),
        "begun_page": now.reset(now.moved("begun_page", values["read_page"])),
        "word": now.moved("word", words.of(slot, program)),
        "emit": now.reset(now.moved("emit", [words.every([*begun, values["word"][0]]), *values["emit"][:-1]])),
        "active": now.reset(now.moved("active", [*begun, *values["active"][:-1]])),
    }  # fmt: skip
    marks = [values["word"][1 : 1 + groups], *(values[name] for name in now.names.lasts)]
    becomes |= {name: now.reset(now.moved(name, mark)) for name, mark in zip(now.names.lasts, marks, strict=False)}
    # A page whose last slot has begun, and which is not free yet.
    ending = words.every([*begun, *values["begun_final"]])
    always = words.every([
        words.is_below(beat, beats), words.is_below(slot, slots), words.is_below(full, 3),
        words.is_equal(full, words.plus(todo, [ending, 0])), words.is_below(todo, 3),
        # Once a vector's first slot has begun, the page is there until its last one has.
        words.some([words.is_equal(slot, 0), *todo]),
        words.is_equal(values["write_page"], [words.graph.differ(values["read_page"][0], todo[0])]),
        words.some([begun[0] ^ 1, words.is_equal(values["begun_page"], [
            words.graph.differ(values["read_page"][0], ending)])]),
        words.some([begun[0] ^ 1, ending, *todo]),
        # What is written is not what is read.
        words.some([begun[0] ^ 1, full[1], words.graph.differ(values["begun_page"][0], values["write_page"][0])]),
    ])  # fmt: skip
    return becomes, always


def _pages(now: _Now, becomes: dict[str, Word]) -> None:
    """Add what is written: each bank's element of the beat, to its place."""
    words, values, unit = now.words, now.values, now.unit
    simd, _, banks, *_ = unit.sizes
    elements = lanes_of(values[DATA], simd, unit.one.number("IN_BITS"))
    for bank, copies in enumerate(now.names.pages):
        taken, place = now.write, words.wider(values["beat"], unit.place_bits, signed=False)
        if banks > simd:
            takes = (unit.banking[:, 0, bank] != NOTHING).astype(int).tolist()
            place = values[now.names.counts[bank]]
            taken = words.every([taken, *words.of(values["beat"], [[one] for one in takes])])
            counted = words.choose(taken, words.plus(place, words.constant(1, len(place))), place)
            counted = words.choose(now.filled, words.constant(0, len(place)), counted)
            becomes[now.names.counts[bank]] = now.reset(counted)
        comes = [
            bit for position in unit.banking[:, :, bank].T.tolist()
            for bit in words.of(values["beat"], [elements[max(element, 0)] for element in position])
        ]  # fmt: skip
        for copy in copies:
            for at, name in enumerate(copy):
                here = words.every([taken, words.is_equal([*place, *values["write_page"]], at)])
                becomes[name] = words.choose(here, comes, values[name])


def _products(now: _Now, becomes: dict[str, Word]) -> dict[str, int]:
    """Add what each lane reads and multiplies; return where it matters what these become.

    A move may load anything that is not used. Without one, what was loaded before is kept.
    """
    words, values, unit = now.words, now.values, now.unit
    _, _, banks, _, groups, _, _ = unit.sizes
    bits, block = unit.one.number("IN_BITS"), bool(unit.one.number("BLOCK_BANKS"))
    signed, matters, size = bool(unit.one.number("IN_SIGNED")), {}, unit.product_bits
    for bank in range(banks):
        for group in range(groups):
            name = f"gen_bank[{bank}].gen_lane[{group}]"
            weight, place, which = now.lane(group, bank)
            copy = now.names.pages[bank][group if block else group // READERS]
            seen = words.of([*place, *values["begun_page"]], [values[word] for word in copy])
            if block:
                held = f"gen_bank[{bank}].gen_memory.gen_group[{group}].data"
                chosen = values[f"{name}.gen_value.chosen"]
                becomes[held] = now.moved(held, seen)
                becomes[f"{name}.gen_value.chosen"] = now.moved(
                    f"{name}.gen_value.chosen", [*which, *[0] * (len(chosen) - len(which))]
                )
                index = chosen[: len(which)]
                value = words.of(index, lanes_of(values[held], unit.values, bits))
                matters[f"{name}.product"] = words.some([now.move ^ 1, values["active"][0]])
            else:
                value = values[f"{name}.gen_value.data"]
                read = words.of(which, lanes_of(seen, unit.values, bits))
                becomes[f"{name}.gen_value.data"] = now.moved(f"{name}.gen_value.data", read)
                matters[f"{name}.gen_value.data"] = words.some([now.move ^ 1, values["begun"][0]])
            becomes[f"{name}.weight"] = now.moved(f"{name}.weight", weight)
            product = words.signed_product(words.wider(value, size, signed=signed), values[f"{name}.weight"])
            becomes[f"{name}.product"] = now.moved(f"{name}.product", product)
    return matters


def _in_reach(now: _Now) -> list[int]:
    """Return what always holds of words and of how far they have come: no lane asks for a value that is not there."""
    words, values, unit = now.words, now.values, now.unit
    _, _, banks, _, groups, _, _ = unit.sizes
    begun, active = values["begun"][0], values["active"][0]
    reach = []
    for bank in range(banks):
        for group in range(groups):
            reach.append(words.some([begun ^ 1, words.is_below(now.lane(group, bank)[2], unit.values)]))
            chosen = values.get(f"gen_bank[{bank}].gen_lane[{group}].gen_value.chosen")
            if chosen is not None:
                reach.append(words.some([active ^ 1, words.is_below(chosen, unit.values)]))
    for bank, name in enumerate(now.names.counts):
        written = [words.constant(place, unit.place_bits) for place in unit.written[:, bank].tolist()]
        reach.append(words.is_equal(values[name], words.of(values["beat"], written)))
    return reach


def _sums(now: _Now, becomes: dict[str, Word]) -> list[Word]:
    """Add how products become sums, group by group; return what leaves."""
    words, values, (_, _, banks, _, groups, _, queue) = now.words, now.values, now.unit.sizes
    size, levels, product_bits = now.unit.one.number("OUT_BITS"), (banks - 1).bit_length(), now.unit.product_bits
    if queue > 1:
        front = values["front"]
        leaves = words.every([now.move, values["emit"][-2]])
        becomes["front"] = now.reset(words.choose(leaves, words.next_of(front, queue), front))
    gives = []
    for group in range(groups):
        name, last = f"gen_group[{group}]", values[now.names.lasts[-1]][group]
        nodes = [words.wider(values[f"gen_bank[{bank}].gen_lane[{group}].product"], size, signed=True)
                 for bank in range(banks)]  # fmt: skip
        nodes += [words.constant(0, size)] * ((1 << levels) - banks)
        for at in range((1 << levels) - 1):
            # So many levels above the products.
            height = levels + 1 - ((1 << levels) - 1 - at).bit_length()
            held = f"{name}.gen_node[{at}].data"
            total = words.plus(nodes[2 * at], nodes[2 * at + 1])[: product_bits + height]
            becomes[held] = now.moved(held, total)
            nodes.append(words.wider(values[held], size, signed=True))
        first, total = values[f"{name}.first"], values[f"{name}.sum"]
        following = words.plus(words.choose(first[0], words.constant(0, size), total), nodes[-1])
        becomes[f"{name}.first"] = now.reset(words.choose(now.add, [last], first), 1)
        becomes[f"{name}.sum"] = words.choose(now.add, following, total)
        if not queue:
            gives.append(total)
            continue
        finished = words.every([now.add, last])
        here = [finished]
        if queue > 1:
            back = values[f"{name}.gen_queue.gen_several.back"]
            here = [words.every([finished, words.is_equal(back, at)]) for at in range(queue)]
            following_back = words.choose(finished, words.next_of(back, queue), back)
            becomes[f"{name}.gen_queue.gen_several.back"] = now.reset(following_back)
        for word, written in zip(now.names.waiting[group], here, strict=True):
            becomes[word] = words.choose(written, following, values[word])
        index = values["front"] if queue > 1 else []
        oldest = words.of(index, [values[word] for word in now.names.waiting[group]])
        becomes[f"{name}.gen_queue.data"] = now.moved(f"{name}.gen_queue.data", oldest)
        gives.append(values[f"{name}.gen_queue.data"])
    return gives
