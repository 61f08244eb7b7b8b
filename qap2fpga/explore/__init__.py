# SPDX-License-Identifier: Apache-2.0
"""From many networks to the best hardware under limits: estimate all, rank, build the best; `docs/explore.md`."""
