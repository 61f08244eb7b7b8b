# SPDX-License-Identifier: Apache-2.0
"""Our layers inside hls4ml, through its extension API: what `steps` and `code` write.

https://fastmachinelearning.org/hls4ml/advanced/extension.html. Importing this module registers them, once.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hls4ml
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute
from hls4ml.model.layers import Layer, register_layer

from qap2fpga.system.files import shipped

BACKEND = "Vitis"
HEADER, FRAMES = "qap_requantize.h", "qap_layers.h"


class QapStep(Layer):  # type: ignore[misc]
    """A function of the sources' values, of the given `shape`.

    `code` are generated definitions, `call` the call without the names and types, which hls4ml chooses.
    """

    _expected_attributes = [  # noqa: RUF012
        Attribute("shape", value_type=Sequence), Attribute("code", value_type=str), Attribute("call", value_type=str)
    ]  # fmt: skip

    def initialize(self) -> None:
        """The output's shape; its type is in the configuration."""
        self.add_output_variable(list(self.attributes["shape"]))


class QapLayer(QapStep):
    """The same, by a function over frames: the call needs `qap_layers.h` too."""


class QapConfigTemplate(LayerConfigTemplate):  # type: ignore[misc]
    """The generated struct, as it is."""

    def __init__(self) -> None:
        super().__init__((QapStep, QapLayer))

    def format(self, node: Any) -> str:
        """C++ for `parameters.h`."""
        return str(node.get_attr("code"))


class QapFunctionTemplate(FunctionCallTemplate):  # type: ignore[misc]
    """The call in the top function."""

    def __init__(self, layer: type[QapStep], headers: Sequence[str]) -> None:
        super().__init__(layer, include_header=[f"nnet_utils/{header}" for header in headers])

    def format(self, node: Any) -> str:
        """C++ for the top function."""
        data = [*(node.get_input_variable(name) for name in node.inputs), node.get_output_variable()]
        types = ", ".join(one.type.name for one in data)
        names = ", ".join(one.name for one in data)
        return f"{node.get_attr('call').format(types=types)}({names});"


def write_header(folder: Path) -> None:
    """Write `qap_layers.h` into the project in `folder`; a project without such layers does without it."""
    shutil.copyfile(shipped("flows") / "hls4ml" / FRAMES, folder / "firmware" / "nnet_utils" / FRAMES)


register_layer("QapStep", QapStep)
register_layer("QapLayer", QapLayer)
_backend = hls4ml.backends.get_backend(BACKEND)
_backend.register_template(QapConfigTemplate)
_backend.register_template(lambda: QapFunctionTemplate(QapStep, [HEADER]))
_backend.register_template(lambda: QapFunctionTemplate(QapLayer, [HEADER, FRAMES]))
_backend.register_source((shipped("flows") / "hls4ml" / HEADER).resolve())
