# SPDX-License-Identifier: Apache-2.0
"""Boards: a YAML file each."""
