# SPDX-License-Identifier: Apache-2.0
"""Reports that other tools left, read into the same `report.json` and checked against each other.

`folder` reads every file, `designs` says which belong together, `checks` holds them against each other and against
the board, `content` writes what was found as a report, and `run` does all of it for one folder.
"""
