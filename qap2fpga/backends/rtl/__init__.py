# SPDX-License-Identifier: Apache-2.0
"""The rtl backend: every layer unrolled, no multipliers, one vector per clock cycle."""
