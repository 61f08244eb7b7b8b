# SPDX-License-Identifier: Apache-2.0
"""Hardware and C++ simulated, and compared with the integer network on every bit."""
