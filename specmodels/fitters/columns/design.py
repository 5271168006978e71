"""The design matrix of a fit: basis images of the linear parameters, all others held."""

import numpy as np

__all__ = ["CHUNK_BYTES", "Design", "inputs_of", "local_values"]

# Images of a chunk of columns, small enough for a cache; each chunk has the cost of its calls.
CHUNK_BYTES = 6_000_000


class Design:
    """Offset and basis images of a model in columns of pixels; of a small image they are kept.

    Fluxes, errors, leverages, hits and sums are all told from these images, which take longer to
    make than to use.

    Parameters
    ----------
    form : `~specmodels.models.linear_form.LinearForm`
        The model.
    values : list of float or ndarray
        Of all its parameters; what those of the linear ones are does not matter.
    x, y : ndarray, shape (n_column,), (n_row,)
        Coordinates of the pixels.
    """

    def __init__(self, form, values, x, y):
        self.form, self.values, self.x, self.y = form, values, x, y
        self.is_kept = 8 * len(form.linear) * len(x) * len(y) <= CHUNK_BYTES
        self._kept = None

    def __reduce__(self):
        """State to pickle: images are made again."""
        return Design, (self.form, self.values, self.x, self.y)

    def of(self, columns):
        """Offset and basis images as from `LinearForm.columns`; not to be changed.

        Parameters
        ----------
        columns : slice or ndarray of int
            Which columns.
        """
        if not self.is_kept:
            return self._made(columns)
        if self._kept is None:
            self._kept = self._made(slice(0, len(self.x)))
        offset, images = self._kept
        if isinstance(columns, slice) and columns.indices(len(self.x)) == (0, len(self.x), 1):
            return self._kept
        return cut(offset, columns), {k: cut(image, columns) for k, image in images.items()}

    def _made(self, columns):
        local = local_values(self.values, columns, len(self.x))
        return self.form.columns(local, inputs_of(self.form.model, self.x[columns], self.y))

    def model(self, values, columns, parts=None):
        """Image of the model with these values of the linear parameters, in some columns.

        What `of` gives for the columns are its ``parts``, if they have been made.
        """
        offset, images = self.of(columns) if parts is None else parts
        shape = (len(self.y), len(self.x[columns]))
        model = np.array(np.broadcast_to(offset, shape), dtype=float)
        for k in self.form.linear:
            value = values[k]
            model += (value[columns] if np.ndim(value) else value) * images[k]
        return model


def local_values(values, columns, n_columns):
    """Values in some columns: those given for each of all columns are cut."""
    return [v[columns] if np.ndim(v) and np.shape(v)[-1] == n_columns else v for v in values]


def inputs_of(model, x, y):
    """Inputs of a model for pixels: rows, or columns and rows."""
    rows = y[:, None]
    return (rows,) if model.n_inputs == 1 else (x[None], rows)


def cut(image, columns):
    """Some columns of an image; numbers and single columns are those of all."""
    return image[..., columns] if np.ndim(image) and np.shape(image)[-1] > 1 else image
