# SPDX-License-Identifier: Apache-2.0
"""Names that do harm where they are taken for more than names, and folders that shells and make stumble over."""

from __future__ import annotations

from pathlib import Path

# What every payload tries to leave in the current folder.
MARK = "EXECUTED"
_PYTHON = f"exec(\"import os; os\\x2esystem('touch {MARK}')\")"
NAMES = (
    f'act1")\r{_PYTHON}\rdef other(self):\r    x = getattr(self, "act1',
    f'act1")\n{_PYTHON}\n#',
    f"x'); {_PYTHON}; ('",
    f"{{{_PYTHON}}}",
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    f"; touch {MARK} ;",
    f"| touch {MARK}",
    f"& touch {MARK} &",
    f"[exec touch {MARK}]",
    f'"; exec touch {MARK}; set a "',
    f'*/ int bad = system("touch {MARK}"); /*',
    f'"; system("touch {MARK}"); //',
    f'"); $system("touch {MARK}"); $display("',
    f"\n$(shell touch {MARK})\nall: ; touch {MARK}\n",
    f"<script>document.title='{MARK}'</script>",
    f'"><img src=x onerror="document.title=\'{MARK}\'">',
    f"{{{{ self.__init__.__globals__ }}}} {MARK}",
    f"{{% raw %}} {MARK}",
    "[bold red]loud[/]",
    "[/]",
    '=HYPERLINK("http://example.com")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\tab",
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b2J",
    "\u202egnp.exe",
    "\u2066left\u2069",
    "\x00",
    "module",
    "always_comb",
    "namespace",
    "fc 1",
    "fc-1",
    "größe/層/слой",
    "../../../../up",
    "%s%n{0}\\",
    "x" * 10_000,
)
# All of what shells, make, Perl, Tcl and C strings take for more than a letter; of about 200 bytes.
_ODD = f"-a b;touch {MARK};$HOME $(touch {MARK})#'\"`touch {MARK}`üß日本\\ &|%(x)*?[z]{{q}}"
FOLDER = _ODD + "x" * (195 - len(_ODD.encode()))


def without_effect(folder: Path) -> None:
    """No payload has run in `folder`, or below it."""
    assert not [path for path in folder.rglob("*") if path.name == MARK]


def not_in_source(folder: Path) -> None:
    """No generated text that a tool reads has one of the names in it."""
    kinds = (".v", ".sv", ".cpp", ".h", ".tcl", ".py", ".mk", ".sh", ".dat")
    texts = {path: path.read_text(errors="replace") for path in folder.rglob("*") if path.suffix in kinds}
    assert texts
    unusual = [name for name in (*NAMES, FOLDER) if not name.isidentifier() and len(name) > 6]
    assert len(unusual) > 25
    for path, text in texts.items():
        assert not [name for name in unusual if name in text], path
