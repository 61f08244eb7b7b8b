# SPDX-License-Identifier: Apache-2.0
"""Model files to the integer graph, compared with float executions of them: `prepare.prepare`."""
