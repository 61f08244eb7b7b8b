# SPDX-License-Identifier: Apache-2.0
"""Our layers inside hls4ml, through its extension API: requantizer and class number, both written by `code`.

https://fastmachinelearning.org/hls4ml/advanced/extension.html. Importing this module registers them, once.
"""

from __future__ import annotations

from typing import Any

import hls4ml
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute
from hls4ml.model.layers import Layer, register_layer

from qap2fpga.system.files import shipped

BACKEND = "Vitis"
HEADER = "qap_requantize.h"


class QapStep(Layer):  # type: ignore[misc]
    """`n_out` values from as many or more: `code` is the struct whose `apply` computes them."""

    _expected_attributes = [Attribute("n_out"), Attribute("code", value_type=str)]  # noqa: RUF012

    def initialize(self) -> None:
        """The output's shape; its type is in the configuration."""
        self.add_output_variable([self.attributes["n_out"]])


class QapConfigTemplate(LayerConfigTemplate):  # type: ignore[misc]
    """The generated struct, as it is."""

    def __init__(self) -> None:
        super().__init__(QapStep)

    def format(self, node: Any) -> str:
        """C++ for `parameters.h`."""
        return str(node.get_attr("code"))


class QapFunctionTemplate(FunctionCallTemplate):  # type: ignore[misc]
    """The call in the top function."""

    def __init__(self) -> None:
        super().__init__(QapStep, include_header=[f"nnet_utils/{HEADER}"])

    def format(self, node: Any) -> str:
        """C++ for the top function."""
        template = "{name}::apply<{input_t}, {output_t}>({input}, {output});"
        return template.format(**{**self._default_function_params(node), "name": f"qap_{node.name}"})


register_layer("QapStep", QapStep)
_backend = hls4ml.backends.get_backend(BACKEND)
_backend.register_template(QapConfigTemplate)
_backend.register_template(QapFunctionTemplate)
_backend.register_source((shipped("flows") / "hls4ml" / HEADER).resolve())
