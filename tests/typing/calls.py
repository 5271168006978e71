"""Calls as users write them, for mypy: right ones pass, and wrong ones are seen.

Not run: ``mypy tests/typing/calls.py``. A comment that ignores an error is an error where there is
none, so that a stub that says nothing cannot pass.
"""

import specmodels as sm

slit, truth = sm.datasets.make_slit(seed=1)
source = sm.Source(sm.MoffatProfile(), sm.PolynomialTrace(2), name="target")
extract = sm.OptimalExtraction(source + sm.ColumnPolynomial(1))
result = extract(sm.read("slit.fits", dispersion_axis=-1))
chain = sm.FlickerNoiseSubtraction(sm.LineMedian()) | sm.OptimalExtraction(n_sources=2)
done = sm.map(chain, ["a.fits", "b.fits"], "output", n_jobs=2, skip_existing=True)
path = sm.write(result, "spectrum.fits", overwrite=True)

sm.OptimalExtraction(n_source=1)  # type: ignore[call-arg]
sm.read("slit.fits", dispersion_axes=-1)  # type: ignore[call-arg]
sm.map(extract)  # type: ignore[call-arg]
sm.NoSuchName  # type: ignore[attr-defined]  # noqa: B018
