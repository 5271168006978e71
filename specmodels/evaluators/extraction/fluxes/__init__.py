"""From a fit to fluxes with honest errors: sums, wings, light beyond the profile, covariance."""
