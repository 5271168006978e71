"""One row of a table of speeds: a job, done by a peer and by this package."""

from dataclasses import dataclass, field

from .measure import costs, memory


@dataclass(frozen=True)
class Way:
    """One way to do a job.

    Attributes
    ----------
    name : str
        What is called.
    function : callable
        Does the job for a number of units, which it takes as its argument.
    n_units : int
        For how many units (slits, columns) it is called.
    truth : callable, optional
        Takes what `function` returned and gives the columns of the table that tell how true it is.
    goal : float, optional
        Ratio of processor times to reach.
    """

    name: str
    function: object
    n_units: int = 1
    truth: object = field(default=lambda result: {})
    goal: float | None = None


def compare(job, peers, ours, *, repeat):
    """Rows for every way of ours against every peer.

    Parameters
    ----------
    job : str
        What is done, and the unit to which the times belong.
    peers, ours : sequence of Way
        All are timed in the same rounds.
    repeat : int
        Number of timed rounds.
    """
    ways = [*peers, *ours]
    found = costs({way.name: _bound(way) for way in ways}, repeat=repeat)
    megabytes = {way.name: memory(_bound(way))[0] for way in ways}
    rows = []
    for way in ways:
        own, own_cost = found[way.name], found[way.name].cpu / way.n_units
        ratios = [found[peer.name].cpu / peer.n_units / own_cost for peer in peers]
        is_ours = way in ours
        rows.append({
            "job": job, "by": way.name, "units": way.n_units, "ms": 1e3 * own.seconds / way.n_units,
            "ms, processor": 1e3 * own_cost,
            "peer/ours": " / ".join(f"{ratio:.3g}" for ratio in ratios) if is_ours else None,
            "goal": way.goal,
            "met": max(ratios) >= way.goal if is_ours and way.goal else None,
            "MB added": megabytes[way.name], **way.truth(own.result),
        })  # fmt: skip
    return rows


def _bound(way):
    return lambda: way.function(way.n_units)
