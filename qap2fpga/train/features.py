# SPDX-License-Identifier: Apache-2.0
"""The 16 high-level jet features of the hls4ml LHC jet data, computed from a jet's constituents.

The features and their names follow Coleman et al. 2018 (arXiv:1709.08705), whose list the hls4ml LHC jet data
(doi:10.5281/zenodo.2603256) uses. With `z_i = pT_i / sum(pT)` and `R_ij` the distance in rapidity and
azimuth, the normalised energy correlation functions over the constituents are::

    e2(b)  = sum_{i<j}    z_i z_j      R_ij^b                          Larkoski, Salam, Thaler 2013
    e3(b)  = sum_{i<j<k}  z_i z_j z_k (R_ij R_ik R_jk)^b               Larkoski, Salam, Thaler 2013
    1e3(b) = sum_{i<j<k}  z_i z_j z_k (smallest of the three R)^b      Moult, Necib, Thaler 2016
    2e3(b) = sum_{i<j<k}  z_i z_j z_k (product of the two smallest)^b  Moult, Necib, Thaler 2016

(arXiv:1305.0007, arXiv:1609.07483; no jet radius divides `R`.) The features, `mmdt` standing for "after
grooming by the modified mass drop tagger" of Dasgupta, Fregoso, Marzani, Salam 2013 (arXiv:1307.0007)::

    zlogz            sum_i z_i ln z_i, all constituents
    c1_bB_mmdt       C1 = e2(B)                    B = 0, 1, 2         Larkoski, Salam, Thaler 2013
    c2_bB_mmdt       C2 = e3(B) / e2(B)^2          B = 1, 2            Larkoski, Salam, Thaler 2013
    d2_bB_mmdt       D2 = e3(B) / e2(B)^3          B = 1, 2            Larkoski, Moult, Neill 2014
    d2_aA_bB_mmdt    D2 = e3(A) / e2(B)^(3 A / B)  A = 1, B = 1, 2     Larkoski, Moult, Neill 2014
    m2_bB_mmdt       M2 = 1e3(B) / e2(B)           B = 1, 2            Moult, Necib, Thaler 2016
    n2_bB_mmdt       N2 = 2e3(B) / e2(B)^2         B = 1, 2            Moult, Necib, Thaler 2016
    mass_mmdt        invariant mass in GeV
    multiplicity     number of constituents, all of them

(D2: arXiv:1409.6298.) `d2_a1_b1_mmdt` equals `d2_b1_mmdt` by definition; both are kept because the data have
both. A ratio whose denominator is zero (fewer than two groomed constituents) is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)


@dataclass(frozen=True)
class Correlations:
    """Normalised energy correlation functions of one jet; each maps the exponent `b` to the value."""

    e2: dict[int, float]
    e3: dict[int, float]
    e3_min: dict[int, float]  # 1e3
    e3_min2: dict[int, float]  # 2e3


def distances(rapidity: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Distances `R_ij`, shape (n, n), of n particles; azimuths in radians, their difference wraps at 2 pi."""
    turn = np.abs(azimuth[:, None] - azimuth) % (2 * np.pi)
    return np.hypot(rapidity[:, None] - rapidity, np.minimum(turn, 2 * np.pi - turn))


def energy_correlations(constituents: FloatArray) -> Correlations:
    """Two- and three-point correlations of `constituents`, shape (n, 3): pT, rapidity, azimuth.

    Cost: n^3/6 triples as n array operations over the pairs (j, k) above i, so memory stays at n^2.
    """
    z = constituents[:, 0] / constituents[:, 0].sum()
    r = distances(constituents[:, 1], constituents[:, 2])
    pairs = np.triu(np.outer(z, z), 1)
    e2 = {b: float((pairs * r**b).sum()) for b in (0, 1, 2)}
    sums = np.zeros((3, 2))
    for i in range(len(z) - 2):
        near, far = r[i, i + 1 :, None], r[i, None, i + 1 :]
        third = r[i + 1 :, i + 1 :]
        low, high = np.minimum(near, far), np.maximum(near, far)
        smallest = np.minimum(low, third)
        two_smallest = smallest * np.maximum(low, np.minimum(high, third))
        weight = z[i] * pairs[i + 1 :, i + 1 :]
        for row, value in enumerate((near * far * third, smallest, two_smallest)):
            once = weight * value
            sums[row] += once.sum(), (once * value).sum()
    e3, e3_min, e3_min2 = ({1: float(row[0]), 2: float(row[1])} for row in sums)
    return Correlations(e2, e3, e3_min, e3_min2)


def jet_features(constituents: FloatArray, groomed: FloatArray, groomed_mass: float) -> FloatArray:
    """Return the 16 values, in the order of `FEATURES`, of one jet.

    Args:
        constituents: (n, 3) pT in GeV, rapidity, azimuth of everything in the jet, n >= 1.
        groomed: (m, 3), what grooming left, m >= 1.
        groomed_mass: invariant mass of what grooming left, in GeV.
    """
    z = constituents[:, 0] / constituents[:, 0].sum()
    ecf = energy_correlations(groomed)
    e2, e3 = ecf.e2, ecf.e3
    values = [float((z * np.log(z)).sum()), e2[0], e2[1], e2[2]]
    values += [_ratio(e3[b], e2[b] ** 2) for b in (1, 2)]
    values += [_ratio(e3[b], e2[b] ** 3) for b in (1, 2)]
    values += [_ratio(e3[1], e2[b] ** (3 / b)) for b in (1, 2)]
    values += [_ratio(ecf.e3_min[b], e2[b]) for b in (1, 2)]
    values += [_ratio(ecf.e3_min2[b], e2[b] ** 2) for b in (1, 2)]
    values += [groomed_mass, float(len(constituents))]
    return np.array(values)


def leading(constituents: FloatArray, count: int) -> FloatArray:
    """Return the hardest `count` of `constituents` (n, 3), hardest first, and zeros where a jet has fewer.

    Each has its pT as a fraction of the sum, and its rapidity and azimuth from the pT-weighted mean of all.
    """
    pt, rapidity, azimuth = constituents.T
    fraction = pt / pt.sum()
    # About the hardest one first: azimuths wrap.
    turned = (azimuth - azimuth[pt.argmax()] + np.pi) % (2 * np.pi) - np.pi
    around = np.stack([fraction, rapidity - fraction @ rapidity, turned - fraction @ turned], axis=1)
    hardest = around[np.argsort(-fraction, kind="stable")[:count]]
    return np.concatenate([hardest, np.zeros((count - len(hardest), 3))])


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0
