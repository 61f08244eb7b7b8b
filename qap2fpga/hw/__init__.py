# SPDX-License-Identifier: Apache-2.0
"""Boards, streams, and the design that a backend gives."""
