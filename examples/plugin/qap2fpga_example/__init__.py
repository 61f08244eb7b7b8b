# SPDX-License-Identifier: Apache-2.0
"""A backend and a board of another package."""
