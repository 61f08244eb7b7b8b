# SPDX-License-Identifier: Apache-2.0
"""Single values of a study's file, each checked: the hint says what is expected there."""

from __future__ import annotations

import re

from qap2fpga.system import documents
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown
from qap2fpga.train import config as configs
from qap2fpga.train.settings import RunConfig

LONGEST_NAME = 100
HINT = f"{documents.place('studies')} has the layout of a study"


def changed(config: RunConfig, settings: dict[str, object], place: str) -> RunConfig:
    """Return the configuration with other settings, checked; an error says where in the study it comes from."""
    try:
        for path, value in settings.items():
            config = configs.replace(config, str(path), value)
        configs.check(config)
    except QapError as error:
        raise QapError(f"{place}: {error.message}", error.hint) from error
    return config


def slug(text: str) -> str:
    """Return `text` as part of a file's name; '-' stands between the parts."""
    return re.sub(r"[^A-Za-z0-9.+]+", "_", text).strip("_.") or "_"


def check_keys(tree: object, legal: tuple[str, ...], where: str) -> dict[str, object]:
    """Return `tree`, which must be a mapping with none but `legal` keys."""
    if not isinstance(tree, dict):
        raise QapError(f"{where} is {shown(tree)}", f"give keys and values: {', '.join(legal)}")
    for key in tree:
        if key not in legal:
            raise QapError(f"{where}: unknown key {shown(key)}", nearest(str(key), legal))
    return tree


def listed(tree: dict[str, object], key: str, where: str) -> list[object]:
    """Return the list at `key`, which is empty where there is none."""
    items = tree.get(key, [])
    if not isinstance(items, list):
        raise QapError(f"{where}: {key} = {shown(items)}", f"give a list; {HINT}")
    return items


def name_of(tree: dict[str, object], place: str) -> str:
    """Return the name in `tree`."""
    name = tree.get("name")
    if not isinstance(name, str) or not name.strip():
        raise QapError(f"{place} has the name {shown(name)}", "give each a name that tells what it is about")
    if len(name) > LONGEST_NAME:
        raise QapError(f"{place} has a name of {len(name)} characters", f"{LONGEST_NAME} are allowed")
    return name


def whole(value: object, place: str, least: int) -> int:
    """Return the whole number `value`, of `least` or more."""
    if type(value) is not int or value < least:
        raise QapError(f"{place} = {shown(value)}", f"give a whole number of {least} or more")
    return value
