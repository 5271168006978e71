"""Whether an extraction can be trusted: tests of a fit, and the rows of its report."""
