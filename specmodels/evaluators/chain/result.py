"""What a chain returns: the results of its steps, and what they handed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from astropy.table import QTable, Table, vstack

from .passing import handed_on, unopened

__all__ = ["ChainResult"]

DONE, LEFT_OUT = "done", "left out"


@dataclass(frozen=True, eq=False, repr=False)
class ChainResult(Mapping):
    """The results of the steps of a chain; a mapping by the name of the step.

    Attributes
    ----------
    results : dict
        Results by name, in the order of the steps.
    passed : dict
        What each step but the last handed on to the next: a datamodel, `~specmodels.Exposure` or
        `~specmodels.Ramp`, which `specmodels.write` writes and the chain goes on from.
    left_out : dict of str
        Steps that were not done, and why: because the data say that they have been.
    data : object
        What came in; never changed.
    """

    results: dict
    passed: dict = field(default_factory=dict)
    left_out: dict = field(default_factory=dict)
    data: object = None

    def __repr__(self):
        lines = [f"  {name!r}: {result!r}" for name, result in self.items()]
        lines += [f"  {name!r}: {LEFT_OUT}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join([f"<ChainResult of {len(self)} steps", *lines]) + ">"

    def __getitem__(self, name):
        try:
            return self.results[name]
        except KeyError:
            reason = self.left_out.get(name, f"there are {list(self)}")
            raise KeyError(f"no result of a step {name!r}: {reason}") from None

    def __iter__(self):
        return iter(self.results)

    def __len__(self):
        return len(self.results)

    @property
    def final(self):
        """The last result, which `specmodels.write` writes; the data where no step was done."""
        return list(self.values())[-1] if len(self) else unopened(self.data)

    @property
    def spectra(self):
        """Spectra of the last step."""
        return self.final.spectra

    def tables(self):
        """Tables of the last step."""
        return self.final.tables()

    def to_source(self):
        """The data that the last step has made, in the kind that came in.

        Raises
        ------
        TypeError
            If the last step makes no data, but spectra.
        """
        return handed_on(self.final) if len(self) else self.final

    def report(self):
        """The reports of all steps: ``step``, ``status``, ``reason``, and the columns of each.

        Returns
        -------
        `~astropy.table.QTable`
            The status is that of the report, ``"done"`` where it does not judge, or ``"left out"``.
        """
        parts = [_row(name, LEFT_OUT, reason) for name, reason in self.left_out.items()]
        parts += [_with_step(name, Table(result.report())) for name, result in self.items()]
        return QTable(vstack(parts, metadata_conflicts="silent"))

    def plot(self, step=None, figure=None):
        """Draw the results of all steps, one beneath the other, or of one.

        Parameters
        ----------
        step : str, optional
            Name of the only one to be drawn.
        figure : `~matplotlib.figure.Figure`, optional
            Default: a new one.
        """
        from ...plotting import plot_chain

        return plot_chain(self, figure) if step is None else self[step].plot(figure=figure)


def _row(name, status, reason):
    return Table({"step": [name], "status": [status], "reason": [reason]})


def _with_step(name, report):
    if "reason" not in report.colnames:
        report.add_column([""] * len(report), name="reason", index=0)
    if "status" not in report.colnames:
        report.add_column([DONE] * len(report), name="status", index=0)
    report.add_column([name] * len(report), name="step", index=0)
    return report
