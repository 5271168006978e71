"""One sky of several slits: where it is sampled, which slits agree, what a fit returns."""
