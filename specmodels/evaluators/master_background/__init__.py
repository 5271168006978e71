"""Master background: one sky of all slits, taken from each of them."""
