"""Optimal extraction: a model of a slit, its fit, the fluxes, and whether they can be trusted."""
