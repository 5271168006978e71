"""What there is to say of each slice of a trace model: what was modelled, and why not."""

import numpy as np

__all__ = ["report_row"]

# Chi-square per degree of freedom of a slice whose model and variances hold.
MOST_CHI2 = 2.0


def report_row(name, part, reasons):
    """Row of the report of one slice; `reasons` say why slices have no model."""
    fit = part.fit
    known = fit is not None
    return {
        "slice": name, "status": "modelled" if known else "interpolated",
        "windows": len(fit.layout.nodes) - 1 if known else 0,
        "knot_spacing": fit.layout.grid.spacing if known else np.nan,
        "reduced_chi2": fit.reduced_chi2 if known else np.nan,
        "rejected": int(fit.rejected.sum()) if known else 0,
        "hits": int(part.hits.sum()), "filled": int(part.filled.sum()),
        "missing": int((part.inside & ~part.available & ~part.filled).sum()),
        "compact": int(part.compact.sum()),
        "reason": "; ".join(_reasons_to_look(part)) if known else reasons.get(name, ""),
    }  # fmt: skip


def _reasons_to_look(part):
    """Why a person should look at the model of a slice."""
    chi2 = part.fit.reduced_chi2
    if not (np.isfinite(chi2) and chi2 <= MOST_CHI2):
        yield f"chi2/dof {chi2:.3g}: variances or model are off"
    columns = part.image.x[part.lines.any(axis=0)]
    if columns.size:
        yield (
            f"lines that the profile does not have in {np.count_nonzero(part.lines)} pixels, of "
            f"columns {columns[0]:g} to {columns[-1]:g}: left as they are, and not in the model"
        )
