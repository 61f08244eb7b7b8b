# SPDX-License-Identifier: Apache-2.0
"""The report of a build: its content, its checks, and how it is shown. Nothing heavy is imported here."""
