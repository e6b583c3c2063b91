"""Discovery beside peers: what our adapters add to the bare library calls, and how andrey-core does on the same data.

    OMP_NUM_THREADS=1 python benchmarks/peers/discovery.py overhead
    OMP_NUM_THREADS=1 python benchmarks/peers/discovery.py quality --python andrey=ENV/bin/python

Random Erdos-Renyi graphs, linear mechanisms, standardised after sampling, columns in random order; all contenders get
the same files. Each is a process of its own, so each can have its own environment (`--python NAME=INTERPRETER`; without
one, this interpreter is tried, and what cannot be imported is left out and named). Seconds are processor time, child
processes included; a first small data set pays for imports. A call over --limit seconds of processor time is ended, and
that method is then not asked at larger sizes.

One price for an edge everywhere, 2 log(n) / 2 of log-likelihood: lambda 2 for flopsearch and andrey-core, 1 for
causal-learn; PC at level 0.01 with at most 5 variables to condition on. "auto" alone is asked as it stands: it takes
the extended BIC.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from sampling import Contender

PENALTY, ALPHA, DEPTH = 2.0, 0.01, 5
CAUSAL_LEARN = {  # method -> the module and function of the bare call
    "boss": ("causallearn.search.PermutationBased.BOSS", "boss"),
    "grasp": ("causallearn.search.PermutationBased.GRaSP", "grasp"),
    "ges": ("causallearn.search.ScoreBased.GES", "ges"),
    "pc": ("causallearn.search.ConstraintBased.PC", "pc"),
}
BARE = {"flop": ("flopsearch", "flop"), **CAUSAL_LEARN}
METHODS = {
    "causalkit": ["auto", "orders", "flop", "boss", "grasp", "ges", "pc"],
    "andrey": ["xges", "boss", "grasp", "ges", "pc"],
    "bare": list(BARE),
}
PACKAGES = {"causalkit": "causalkit-lab", "andrey": "andrey-core", "bare": "flopsearch"}


class Learner(Contender):
    """A process that answers a question a line: {"method", "file", "seconds"} -> {"edges", "seconds", "calls"}."""

    script = "discovery.py"

    def end(self, reason: str) -> dict:
        """Ends the process; says so where its processor time was up."""
        process = self.process
        answer = super().end(reason)
        return {"error": "time-out"} if process is not None and process.returncode == -signal.SIGPROF else answer


def bare(values: np.ndarray, method: str) -> list:
    """The library's own call, as its documentation shows it."""
    import contextlib
    import io

    search = getattr(import_module(BARE[method][0]), BARE[method][1])
    if method == "flop":
        return np.argwhere(search(values, PENALTY, restarts=20 if values.shape[1] <= 200 else 0) > 0).tolist()
    if method == "pc":
        found = search(values, alpha=ALPHA, indep_test="fisherz", uc_priority=3, max_k=DEPTH, show_progress=False).G
    else:
        quiet = {} if method == "ges" else {"verbose": False}
        with contextlib.redirect_stdout(io.StringIO()):
            found = search(values, "local_score_BIC_from_cov", parameters={"lambda_value": PENALTY / 2}, **quiet)
    return np.argwhere((found["G"] if method == "ges" else found).graph == -1).tolist()


def andrey(values: np.ndarray, method: str) -> list:
    """andrey-core's call. A cell M[i, j] is the mark at i on its edge with j, 1 a tail."""
    library = import_module("andrey")
    if method == "pc":
        found = library.pc(values, alpha=ALPHA, max_depth=DEPTH, indep_test="fisherz")
    elif method == "xges":
        found = library.xges(values, lambda_value=PENALTY)
    else:
        found = getattr(library, method)(values, score_func="local_score_BIC_from_cov", lambda_value=PENALTY)
    return np.argwhere(found.structure.to_numpy() == 1).tolist()


def causalkit(values: np.ndarray, method: str, **settings: float) -> list:
    """discover(), as it stands; `single` asks for one search, what a bare call does."""
    import pandas as pd

    import causalkit as ck

    single = {"boss": {"starts": 1}, "grasp": {"starts": 1}}.get(method, {}) if settings.pop("single", 0) else {}
    if method == "orders":  # FLOP's price of an edge, as everywhere here; "auto" has its own
        single = {"lambda_bic": PENALTY, "gamma": 0.0}
    graph = ck.discover(pd.DataFrame(values), method, **{"force": True, **single, **settings})
    return [[int(i), int(j)] for i, j in graph.edges]


def timed(method: str, log: str) -> None:
    """From now on, each call of the library's function writes its seconds into a file, from forks too."""
    module, name = BARE[method]
    call = getattr(import_module(module), name)

    def logged(*args: object, **options: object) -> object:
        start = time.process_time()
        try:
            return call(*args, **options)
        finally:
            with open(log, "a") as file:
                file.write(f"{time.process_time() - start}\n")

    if getattr(call, "__name__", "") != "logged":
        setattr(import_module(module), name, logged)


def used() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in times)


def serve(name: str) -> None:
    """Answer questions until the input ends. The library is told nothing of the truth."""
    learner: Callable[..., list] = {"causalkit": causalkit, "andrey": andrey, "bare": bare}[name]
    for line in sys.stdin:
        question = json.loads(line)
        method, settings = question["method"], question.get("settings", {})
        try:
            if question.get("log"):
                timed(method, question["log"])
            small = np.random.default_rng(0).standard_normal((200, 4))
            learner(small, method, **settings)
            if question.get("log"):
                Path(question["log"]).write_text("")
            values = np.load(question["file"])
            signal.setitimer(signal.ITIMER_PROF, question["seconds"])  # its signal ends the process, whatever it is at
            start = used()
            edges = learner(values, method, **settings)
            seconds = used() - start
            signal.setitimer(signal.ITIMER_PROF, 0)
            calls = Path(question["log"]).read_text().split() if question.get("log") else []
            answer = {"edges": edges, "seconds": seconds, "calls": [float(call) for call in calls]}
        except Exception as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer | {"version": version(PACKAGES[name])}), flush=True)


def draw(d: int, degree: float, noise: str, rows: int, seed: int, folder: Path) -> tuple[str, object]:
    """The file with the data of a cell and seed, and the true graph over the numbers of its columns."""
    import networkx as nx

    import causalkit as ck

    scm = ck.random_scm(d, degree=degree, mechanism="linear", noise=noise, standardise=None, seed=seed)
    frame = scm.sample(rows, seed=seed + 1000)
    frame = frame[[frame.columns[i] for i in np.random.default_rng(seed).permutation(d)]]
    file = folder / f"{d}_{degree}_{noise}_{seed}.npy"
    np.save(file, ((frame - frame.mean()) / frame.std(ddof=0)).to_numpy())
    return str(file), nx.relabel_nodes(scm.graph, {name: i for i, name in enumerate(frame.columns)})


def distance(edges: list, truth: object) -> int:
    """Pairs in which the classes differ. What PC finds need not be a class: it counts as it stands."""
    import networkx as nx

    from causalkit.graphs import adjacency, cpdag

    graph, order = nx.DiGraph(), sorted(truth)
    graph.add_nodes_from(order)
    graph.add_edges_from(edges)
    found = cpdag(graph) if nx.is_directed_acyclic_graph(graph) else graph  # an undirected edge is a cycle here
    differ = (adjacency(found, order) != 0) != (adjacency(cpdag(truth), order) != 0)
    return int(np.triu(differ | differ.T).sum())


def quality(contenders: dict[str, Learner], options: argparse.Namespace, folder: Path) -> None:
    """A row a cell: mean SHD of the CPDAGs [least, most over the seeds] / median seconds, for each method."""
    columns = [(name, m) for name in ("causalkit", "andrey") for m in METHODS[name]]
    columns = [(name, m) for name, m in columns if {m, f"{name}:{m}"} & set(options.methods)]
    print("| noise | d | degree | " + " | ".join(f"{m} ({name})" for name, m in columns) + " |")
    print("|---" * (3 + len(columns)) + "|", flush=True)
    for noise in options.noise:
        late: dict[tuple, int] = {}
        for d in options.d:
            for degree in options.degree:
                sets = [draw(d, degree, noise, options.rows, seed, folder) for seed in range(seeds(d, options))]
                cells = []
                for name, method in columns:
                    if late.get((name, method, degree), d) < d:
                        cells.append("not asked")
                        continue
                    cell = ask(contenders[name], method, sets, options.limit)
                    if "time-out" in cell:
                        late[name, method, degree] = d
                    cells.append(cell)
                print(f"| {noise} | {d} | {degree:g} | " + " | ".join(cells) + " |", flush=True)


def ask(contender: Learner, method: str, sets: list, limit: float) -> str:
    """A cell of the table of quality."""
    found = []
    for file, truth in sets:
        answer = contender.ask({"method": method, "file": file, "seconds": limit}, 20 * limit)
        if "error" in answer:
            return answer["error"]
        found.append((distance(answer["edges"], truth), answer["seconds"]))
    wrong, seconds = zip(*found, strict=True)
    spread = f"{statistics.mean(wrong):.1f} [{min(wrong):g}, {max(wrong):g}]"
    return f"{spread} / {statistics.median(seconds):.2g}"


def overhead(contenders: dict[str, Learner], options: argparse.Namespace, folder: Path) -> None:
    """A row a method and size: seconds of the library's longest call, and what our call takes beside it."""
    print("| method | d | degree | bare call alone, s | library's part of ours, s | more, no limit | more, limit=60 |")
    print("|---|---|---|---|---|---|---|", flush=True)
    log = str(folder / "calls")
    for method in (m for m in METHODS["bare"] if m in options.methods):
        for degree in options.degree:
            for d in options.d:
                rows: dict[str, list] = {"alone": [], "inside": [], "free": [], "limited": []}
                for seed in range(options.seeds):
                    file, _ = draw(d, degree, options.noise[0], options.rows, seed, folder)
                    common = {"method": method, "file": file, "seconds": options.limit}
                    alone = contenders["bare"].ask(common, 20 * options.limit)
                    if "error" in alone:
                        rows["error"] = [alone["error"]]
                        break
                    rows["alone"].append(alone["seconds"])
                    for kind, extra in (("free", {}), ("limited", {"limit": 60.0})):
                        question = common | {"log": log, "settings": {"single": 1} | extra}
                        ours = contenders["causalkit"].ask(question, 20 * options.limit)
                        if ours.get("calls"):
                            longest = max(ours["calls"])
                            rows[kind].append((ours["seconds"] - longest, longest))
                print(line(method, d, degree, rows), flush=True)
                if rows.get("error"):
                    break


def line(method: str, d: int, degree: float, rows: dict[str, list]) -> str:
    """A row of the table of overhead: medians over the seeds."""
    if rows.get("error"):
        return f"| {method} | {d} | {degree:g} | {rows['error'][0]} | | | |"
    cells = [f"{statistics.median(rows['alone']):.2g}"]
    cells.append(f"{statistics.median(inside for _, inside in rows['free']):.2g}" if rows["free"] else "")
    for kind in ("free", "limited"):
        more = [extra for extra, _ in rows[kind]]
        shares = [extra / inside for extra, inside in rows[kind]]
        cells.append(f"{statistics.median(more):.2g} s, {statistics.median(shares):.1%}" if more else "")
    return f"| {method} | {d} | {degree:g} | " + " | ".join(cells) + " |"


def seeds(d: int, options: argparse.Namespace) -> int:
    """Data sets of a size: all up to 100 variables, at most two beyond."""
    return options.seeds if d <= 100 else min(options.seeds, 2)


def main() -> None:
    """Prints a table."""
    numbers: Callable[[str], list[int]] = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    words: Callable[[str], list[str]] = lambda text: text.split(",")  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("quality", "overhead"))
    parser.add_argument("--python", action="append", default=[], metavar="NAME=INTERPRETER")
    parser.add_argument("--d", type=numbers, default=[50, 100, 200, 500])
    parser.add_argument("--degree", type=numbers, default=[2, 4])
    parser.add_argument("--noise", type=words, default=["gaussian"], help="gaussian, laplace")
    every = sorted({m for group in METHODS.values() for m in group})
    parser.add_argument("--methods", type=words, default=every, help="flop: of all contenders; andrey:boss: of one")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of processor time a call")
    options = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    contenders = {name: Learner(name, pythons.get(name, sys.executable), 1) for name in METHODS}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        {"quality": quality, "overhead": overhead}[options.table](contenders, options, Path(folder))
    for contender in contenders.values():
        contender.end("done")
    print(f"\n{options.seeds} seeds, {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s) here, "
          f"{time.perf_counter() - began:.0f} s in all")  # fmt: skip


if __name__ == "__main__":
    serve(sys.argv[1]) if sys.argv[1:2] and sys.argv[1] in METHODS else main()
