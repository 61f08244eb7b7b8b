# SPDX-License-Identifier: Apache-2.0
"""FINN's own builder on the graph that qap2fpga folded: IODMA shell, bitstream and FINN's driver.

finn_build.yaml beside this file says of what. FINN's command is that of the Python which runs this.
"""

import subprocess
import sys
from pathlib import Path

FINN = Path(sys.executable).parent / "finn"
COMMAND = [FINN, "build", "--batch", "--output", "finn_shell", "finn_build.yaml", "finn_model.onnx"]

code = subprocess.run(COMMAND, check=False).returncode
if code == 0:
    print("qap2fpga: finn finished", flush=True)
sys.exit(code)
