# SPDX-License-Identifier: Apache-2.0
"""From a trained network to the compact integer network that hardware is made of."""
