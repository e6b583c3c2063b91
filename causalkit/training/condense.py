"""Sufficient statistics: a linear network under squared loss sees means and covariances, and nothing else.

So an environment's n rows can give way to d + 2 rows that have the same means and covariances (d features and the
target): risks, slopes, penalties made of them, and their gradients are the same to rounding, and cost no longer
depends on n. The objective is the same function, fed fewer rows.
"""

from __future__ import annotations

import torch

__all__ = ["condense"]


def condense(values: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Rows [columns + 1, columns] with the means and the covariances (ddof 0) of the given ones [n, columns].

    They are m + L s_k, with m the mean, L L' the covariance, and s_k the corners of a regular simplex, whose mean is 0
    and whose covariance is the identity.

    Source: the simplex of sigma points of Julier (2003), with equal weights.

    Args:
        values: [n, columns].
        weights: What each row counts [n]; None for all the same.

    Example:
        >>> rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> torch.allclose(condense(rows).mT @ condense(rows) / 4, rows.mT @ rows / 1000), condense(rows).shape
        (True, torch.Size([4, 3]))
    """
    columns = values.shape[1]
    share = torch.full_like(values[:, 0], 1 / len(values)) if weights is None else weights / weights.sum()
    mean = share @ values
    centred = (values - mean) * share.sqrt()[:, None]
    # L' as the triangle of a QR decomposition: more exact than Cholesky's, and a constant column is fine
    triangle = torch.linalg.qr(centred, mode="r").R
    return mean + _simplex(columns).to(values) @ triangle


def _simplex(dimension: int) -> torch.Tensor:
    """The corners [dimension + 1, dimension] of a regular simplex with mean 0 and covariance 1 (ddof 0)."""
    corners = torch.eye(dimension + 1, dtype=torch.float64)
    # an orthonormal basis of what is orthogonal to (1, ..., 1)
    basis = torch.linalg.qr(torch.cat([torch.ones(dimension + 1, 1, dtype=torch.float64), corners[:, 1:]], 1)).Q[:, 1:]
    return basis * (dimension + 1) ** 0.5
