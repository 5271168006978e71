"""How any compound model is split into linear and other parameters, whatever it is made of.

`LinearForm` walks the expression tree of an astropy model and gives what fitters need: the basis
image of each linear parameter and the derivative by each other one. No data and no fitting here.
"""

import numpy as np

from .linear import TiedTo
from .linear_branches import node

__all__ = ["LinearForm", "design_matrix", "linear_parameters"]


def linear_parameters(model):
    """Names of the parameters in which a model is linear, all at once.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound. In a product of two models that both have linear parameters only the
        left one's are used: together they would not be linear. In ``a | b`` those of ``b`` are.

    Returns
    -------
    tuple of str
        Names as the model has them, without fixed and tied parameters.
    """
    form = LinearForm(model)
    return tuple(form.names[k] for k in form.linear)


def design_matrix(model, *inputs):
    """Derivative of a model by its linear parameters: the columns of the linear fit.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound.
    *inputs : array_like
        One array for each input of the model, broadcast against each other: shape (...).

    Returns
    -------
    ndarray, shape (..., n_linear)
        In the order of `linear_parameters`.
    """
    form = LinearForm(model)
    arrays = [np.asarray(value, dtype=float) for value in inputs]
    shape = np.broadcast_shapes(*(value.shape for value in arrays))
    _, columns = form.columns(form.values, arrays)
    return np.stack([np.broadcast_to(columns[k], shape) for k in form.linear], axis=-1)


class LinearForm:
    """The expression tree of a model, split into linear and other parameters.

    Values of parameters are passed in as a list, so that a fitter never changes a model and may
    give each parameter as a scalar or as an array that broadcasts against the inputs (one value per
    column of an image).

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A single model; its parameter values are taken as the initial ones.
    follow_ties : bool
        Whether linear parameters that are tied by name keep their rows, so that these can be added
        to those of the parameter which they follow.
    image : `~specmodels.SpectralImage`, optional
        Its coordinates are those of the pixels; see `~specmodels.models.composition.bound`.

    Attributes
    ----------
    names : tuple of str
        Names of all parameters, as the model has them.
    parameters : list of `~astropy.modeling.Parameter`
        The parameters themselves, of the model.
    values : list of float
        Their values in the model.
    linear, nonlinear, tied : list of int
        Positions of the free linear and other free parameters, and of the tied ones.
    declared_linear : frozenset of int
        Positions of all linear parameters, fixed and tied ones included.
    followers : dict of int to TiedTo
        Ties of the linear parameters whose rows are kept.
    """

    def __init__(self, model, *, follow_ties=False, image=None):
        if len(model) != 1:
            raise ValueError(f"model: expected a single model, got a set of {len(model)}")
        self.model = model
        self.names = tuple(model.param_names)
        # Each parameter is asked itself: the mappings of astropy are made anew at each access.
        self.parameters = [getattr(model, name) for name in self.names]
        self.values = [np.asarray(one.value, dtype=float) for one in self.parameters]
        self.tied = [k for k, one in enumerate(self.parameters) if one.tied]
        fixed = {k for k, one in enumerate(self.parameters) if one.fixed} | set(self.tied)
        self._root = node(model, 0, image)
        ties = {k: self.parameters[k].tied for k in self.tied} if follow_ties else {}
        named = {k: tie for k, tie in ties.items() if isinstance(tie, TiedTo)}
        # What follows a free parameter is as free as that.
        self.declared_linear = frozenset(self._root.linear_positions(fixed - set(named)))
        self.linear = sorted(self.declared_linear - fixed)
        self.followers = {k: tie for k, tie in named.items() if k in self.declared_linear}
        self._root.select({*self.linear, *self.followers})
        apart = fixed.union(self.linear)
        self.nonlinear = [k for k in range(len(self.names)) if k not in apart]

    def value(self, values, inputs):
        """Value of the model, broadcast shape of inputs and values."""
        return self._root.value(values, inputs)

    def columns(self, values, inputs):
        """Offset and basis images: the model is ``offset + sum(a[k] * columns[k])``.

        Returns
        -------
        offset : ndarray or float
            What does not depend on the free linear parameters.
        columns : dict of int to ndarray
            Basis image of each position in `linear`; shapes broadcast to that of the inputs.
        """
        return self._root.columns(values, inputs)

    def derivatives(self, values, inputs, wanted, *, factored=False):
        """Derivative of the model by each parameter whose position is in `wanted`.

        With `factored` those that are an image times a row stay `Outer`; without it all are arrays.
        """
        found = self._root.derivatives(values, inputs, frozenset(wanted))
        return found if factored else {k: np.asarray(image) for k, image in found.items()}

    def expansion(self, values, inputs, wanted):
        """Offset, basis images and derivatives by the parameters in `wanted`, from one evaluation.

        Returns
        -------
        offset, columns
            As from `columns`.
        derivatives : dict of int to `Outer`, or None
            They await the linear parameter named by their ``amplitude``. None where they cannot be
            had before the linear parameters are known.
        """
        return self._root.expansion(values, inputs, frozenset(wanted))

    def rows(self, values, inputs):
        """Offset, and the rows of all linear parameters, fixed ones apart.

        Returns
        -------
        offset : ndarray or float
            What does not depend on the linear parameters.
        rows : list of Rows
            Their entries add up to the rest of the model.
        """
        return self._root.rows(values, inputs)

    def components(self, values, inputs):
        """Images of the elementary models that add up to the model, with all that acts on them.

        Returns
        -------
        list of (model, positions, image)
            Factors and pipes have no image of their own: they are in those of what they act on.
        """
        return list(self._root.components(values, inputs))

    def leaves(self):
        """Pairs of the elementary models and the positions of their parameters."""
        return list(self._root.leaves())
