"""Several exposures of the same sources as one extraction."""
