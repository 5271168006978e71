"""Compiled sums over the nodes of Gauss's rule for the light of a Moffat profile in pixels."""

from .compiled import compiled

__all__ = ["add_slopes"]


@compiled
def add_slopes(out, weight, t, logarithm, density, alpha, log_norm_slope):
    r"""Add what one node brings to the integrals of the density and of its derivatives.

    Parameters
    ----------
    out : ndarray, shape (4, n)
        Of the density, and of its derivatives by centre, width and steepness, but for their
        factors; added to.
    weight : float
        Of the node.
    t, logarithm, density : ndarray, shape (n,)
        Positions in units of the width, :math:`\ln(1 + t^2)`, and :math:`(1 + t^2)^{-\alpha}`.
    alpha, log_norm_slope : ndarray, shape (n,) or (1,)
        Steepness, and the derivative by it of the logarithm of the norm.
    """
    several = len(alpha) > 1
    for i in range(t.size):
        j = i if several else 0
        part = weight * density[i]
        slope = 2 * part * alpha[j] * t[i] / (1 + t[i] * t[i])
        out[0, i] += part
        out[1, i] += slope
        out[2, i] += slope * t[i] - part
        out[3, i] += part * (log_norm_slope[j] - logarithm[i])
