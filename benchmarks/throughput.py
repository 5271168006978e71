"""Many exposures with `specmodels.map`: CPU and wall time, memory, and a restart.

Each case runs in a process of its own, whose workers are counted when they have ended. Wall times
are worth something on an idle computer only; CPU times also where others work.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import specmodels as sm

N_FEW, N_MANY = 16, 64
CASES = ((1, False), (2, False), (1, True), (2, True))  # processes, figures
# A restart finds all products: what it takes is the start of Python and the look at the folder.
CASE = """
import json, resource, sys, time
import specmodels as sm

if __name__ == "__main__":
    folder, output, number, n_jobs, figures, again = json.loads(sys.argv[1])
    files = [f"{folder}/{k}.fits" for k in range(number)]
    start = time.perf_counter()
    sm.map(sm.OptimalExtraction(n_sources=1), files, output, n_jobs=n_jobs, figures=figures,
           skip_existing=again, progress_bar=False)
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps([wall, cpu, max(one.ru_maxrss for one in used) / 1e3]))
"""


def run(*, quick=False):
    """One row for each number of processes, with and without figures, and for restarts."""
    number = N_FEW if quick else N_MANY
    with tempfile.TemporaryDirectory() as folder:
        for k in range(number):
            sm.write(sm.datasets.make_slit(seed=k)[0], Path(folder) / f"{k}.fits")
        rows, walls = [], {}
        for n_jobs, figures in CASES:
            many, again = _measured(folder, number, n_jobs, figures)
            walls[n_jobs, figures] = many[0]
            rows.append({
                "exposures": number, "processes": n_jobs, "figures": figures,
                "CPU, s": many[1], "wall, s": many[0], "times faster": walls[1, figures] / many[0],
                "largest process, MB": many[2], "restart, CPU s": again[1],
            })  # fmt: skip
    return rows


def _measured(folder, number, n_jobs, figures):
    """Wall and CPU seconds and megabytes of a run, and of one that finds it done."""
    with tempfile.TemporaryDirectory() as output:
        return [_case(folder, output, number, n_jobs, figures, again) for again in (False, True)]


def _case(*arguments):
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "case.py"  # workers start it anew
        script.write_text(CASE, encoding="utf-8")
        command = [sys.executable, str(script), json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
