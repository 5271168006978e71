"""Whether ``"ok"`` can be believed: slits with hard features drawn at random, by feature.

An answer is wrong where the mean flux in any quarter of the columns is off by more than three
quoted errors of that mean and by more than two per cent.
"""

import time

import numpy as np

import specmodels as sm

from .honesty_scenes import FEATURES, draw

SIGMA, LEAST_ERROR = 3.0, 0.02
N_PARTS, LEAST_COLUMNS = 4, 4
# A source must be told from noise before it is missed.
DETECTABLE = 15.0
# On no seed from here on was anything chosen.
FIRST_SEED = 3_600_000
# Scenes of each feature.
FEW, MANY = 4, 60
FAILURES = (ValueError, TypeError, np.linalg.LinAlgError, ArithmeticError, IndexError)
# One of each hundred right answers lies beyond three standard errors in one of four quarters.
OUTCOMES = ("ok, right", "ok, wrong", "check, right", "check, wrong", "no answer")


def run(*, quick=False):
    """One row for each feature, and one for all."""
    counts = {feature: dict.fromkeys(OUTCOMES, 0) for feature in FEATURES}
    seconds = dict.fromkeys(FEATURES, 0.0)
    for seed in range(FIRST_SEED, FIRST_SEED + (FEW if quick else MANY) * len(FEATURES)):
        feature = FEATURES[seed % len(FEATURES)]
        start = time.process_time()
        for outcome, _ in judged(draw(seed, feature)):
            counts[feature][outcome] += 1
        seconds[feature] += time.process_time() - start
    rows = [_row(feature, own) for feature, own in counts.items()]
    total = {key: sum(own[key] for own in counts.values()) for key in OUTCOMES}
    return [*rows, _row("all", total)]


def _row(feature, counts):
    total = max(sum(counts.values()), 1)
    right = counts["ok, right"] + counts["check, right"]
    ok = counts["ok, right"] + counts["ok, wrong"]
    return {
        "feature": feature, "sources": total,
        "ok": f"{ok / total:.1%}",
        "ok, but wrong": f"{counts['ok, wrong'] / total:.1%}",
        "right, but flagged": f"{counts['check, right'] / max(right, 1):.1%}",
        "not answered": f"{counts['no answer'] / total:.1%}",
    }  # fmt: skip


def judged(scene):
    """Outcome of the extraction of each true source of a scene, and what led to it.

    Returns
    -------
    list of tuple
        One of `OUTCOMES`, and the reason of the report, or how far the flux is off.
    """
    try:
        result = sm.OptimalExtraction(**scene.settings)(scene.image)
    except FAILURES as error:
        return [("no answer", f"{type(error).__name__}: {error}") for _ in scene.flux]
    report = {row["source"]: row for row in result.report()}
    taken, outcomes = _matched(scene, report), []
    for number, true in enumerate(scene.flux):
        name = taken.get(number)
        if name is None:
            if _detectable(scene, true):
                outcomes.append(
                    ("no answer", f"not found; {[float(r['row']) for r in report.values()]}")
                )
            continue
        off, answered = error_of(result.table(name), result.covariance(name), true)
        if not answered:
            outcomes.append(("no answer", str(report[name]["reason"])))
            continue
        state = "ok" if report[name]["status"] == "ok" else "check"
        outcomes.append((f"{state}, {'wrong' if off else 'right'}",
                         f"{off or ''} {report[name]['reason']}"))  # fmt: skip
    return outcomes + list(_invented(scene, report, taken))


def _matched(scene, report):
    """Names of the sources nearest to the true ones, each taken once."""
    taken, free = {}, dict(report)
    pairs = sorted(
        (abs(float(row["row"]) - true), number, name)
        for name, row in report.items() for number, true in enumerate(scene.rows)
    )  # fmt: skip
    for distance, number, name in pairs:
        if number not in taken and name in free and distance < 2 * scene.sigma + 1:
            taken[number] = name
            del free[name]
    return taken


def _invented(scene, report, taken):
    """Sources of status "ok" where there are none."""
    for name, row in report.items():
        near = [*scene.others, *scene.rows]
        real = min(abs(float(row["row"]) - place) for place in near) < 3 * scene.sigma + 1
        if name not in taken.values() and not real and row["status"] == "ok":
            yield "ok, wrong", f"no source in row {float(row['row']):.1f}"


def _detectable(scene, flux):
    pixels = np.sqrt(4 * np.pi) * scene.sigma * (scene.level + 9.0)
    return np.sqrt(np.sum(flux**2 / (flux + pixels))) > DETECTABLE


def error_of(table, covariance, true):
    """What is wrong with a flux, in words; and whether at least half of it was given.

    The error of a mean holds what columns have in common.
    """
    flux, error = (np.asarray(table[key].value) for key in ("flux", "flux_error"))
    good = ~np.asarray(table["mask"]) & np.isfinite(flux) & np.isfinite(error)
    wrong, given = [], 0
    for part in np.array_split(np.arange(len(true)), N_PARTS):
        used = part[good[part]]
        if used.size < LEAST_COLUMNS:
            continue
        given += 1
        off = np.mean(flux[used] - true[used])
        sigma = np.sqrt(np.sum(covariance[np.ix_(used, used)])) / used.size
        level = abs(np.mean(true[used]))
        if abs(off) > SIGMA * sigma and abs(off) > LEAST_ERROR * level:
            wrong.append(f"{off / max(level, 1e-9):+.1%} ({off / sigma:+.1f} sigma)")
    return ", ".join(wrong), given >= N_PARTS / 2
