# SPDX-License-Identifier: Apache-2.0
"""The work of each stage of a build: JSON-like values in and out, everything large in the build folder."""
