"""How fast an SCM samples: causalkit, its peers, and a floor, the same arithmetic as one NumPy loop over the variables.

    OMP_NUM_THREADS=1 python benchmarks/peers/sampling.py --python dowhy=ENV/bin/python --python sempler=ENV/bin/python

Every contender is a process of its own, so each can have its own environment (`--python NAME=INTERPRETER`; without one,
this interpreter is tried, and what cannot be imported is left out and named). All are asked in turn, each for calls one
after the other for --seconds, so that a ratio compares what was timed within one round; a turn over --limit seconds
ends its contender in that cell. Graph
and mechanisms are the same for all, but causally and causal-profiler draw weights of their own on the same graph.
Building a model and the first call are not timed. Before anything is timed, each contender's law is checked: means and
covariances against the closed form (linear) or against the floor's (mlp, table).
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from samplers import CONTENDERS, OWN_WEIGHTS, make_problem

# fmt: off
DOES = {  # family -> verb -> who has it
    "linear": {
        "sample": ["causalkit", "floor", "floor_torch", "sempler", "sempler_anm", "causally", "dowhy", "pgmpy",
                   "profiler"],
        "counterfactual": ["causalkit", "floor", "dowhy"],
        "log_prob": ["causalkit", "floor", "pgmpy"],
    },
    "mlp": {
        "sample": ["causalkit", "floor", "sempler_anm", "dowhy"],
        "counterfactual": ["causalkit", "floor", "dowhy"],
        "log_prob": ["causalkit", "floor"],
    },
    "table": {"sample": ["causalkit", "floor", "pgmpy"]},
}
# fmt: on
SAME = {"sempler_anm": "sempler", "floor_torch": "causalkit"}  # contenders that share another one's environment


class Contender:
    """A process that answers a question a line: {"family", "d", "n", "verb", "seed", "seconds"} -> {"seconds": ...}."""

    script = "samplers.py"

    def __init__(self, name: str, python: str, threads: int) -> None:
        self.name, self.python, self.process = name, python, None
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}

    def ask(self, question: dict, limit: float) -> dict:
        """The answer; {"error": ...} where there is none, and the process is ended if it took too long."""
        if self.process is None:
            command = [self.python, "-W", "ignore", str(Path(__file__).with_name(self.script)), self.name]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, env=self.environment, text=True)  # fmt: skip
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return self.end("its interpreter ended")
        if select.select([self.process.stdout], [], [], limit)[0]:
            line = self.process.stdout.readline()
            return json.loads(line) if line else self.end("its interpreter ended")
        return self.end(f"> {limit:g} s")

    def end(self, reason: str) -> dict:
        """Ends the process; the next question starts a new one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        return {"error": reason}


def law_error(law: dict, family: str, own_weights: bool, floor: dict) -> float:
    """The largest deviation of means and covariances from what they should be, in standard errors."""
    n, mean, covariance = law["n"], np.array(law["mean"]), np.array(law["covariance"])
    problem = make_problem(family, len(mean))
    if own_weights:  # regressed on its causes, each variable leaves noise of variance 1 that correlates with no other's
        rows = np.eye(len(mean))
        for j, parents in enumerate(problem["parents"]):
            rows[j, parents] = -np.linalg.solve(covariance[np.ix_(parents, parents)], covariance[parents, j])
        mean, covariance, truth = rows @ mean * 0, rows @ covariance @ rows.T, np.eye(len(mean))
        moments = np.zeros(len(mean))
    elif family == "linear":
        path = np.linalg.inv(np.eye(len(mean)) - problem["weights"].T)
        truth, moments = path @ np.diag(problem["scale"] ** 2) @ path.T, np.zeros(len(mean))
    else:  # two samples of the same size: twice the variance
        truth, moments, n = np.array(floor["covariance"]), np.array(floor["mean"]), n / 2
    variances = np.diag(truth)
    errors = np.sqrt((np.outer(variances, variances) + truth**2) / n)
    spread = np.abs((covariance - truth) / errors).max(), np.abs((mean - moments) / np.sqrt(variances / n)).max()
    return float(max(spread))


def check_laws(contenders: dict[str, Contender], family: str, names: list[str], limit: float) -> list[str]:
    """The contenders that can be asked and whose samples agree with the law, after a line on each of the others."""
    agree, question = [], {"family": family, "d": 10, "n": 100_000, "verb": "law", "seed": 7, "seconds": 0}
    floor = contenders["floor"].ask({**question, "seed": 8}, limit)
    for name in names:
        answer = contenders[name].ask(question, limit)
        if "error" in answer:
            print(f"{family}: {name} is left out: {answer['error']}", flush=True)
            continue
        error = law_error(answer, family, (name, family) in OWN_WEIGHTS, floor)
        print(f"{family}: {name} {answer['version']}, law within {error:.1f} standard errors", flush=True)
        if error < 5:
            agree.append(name)
    return agree


def measure(contenders: list[Contender], question: dict, repeats: int, limit: float) -> dict[str, list[float] | str]:
    """Name -> its seconds, a call a round, all in turn; or why there are none."""
    times: dict[str, list[float] | str] = {}
    for contender in contenders:
        answer = contender.ask({**question, "verb": "build", "seed": 0}, 2 * limit)  # not timed, nor is the first call
        answer = answer if "error" in answer else contender.ask({**question, "seed": 0, "seconds": 0}, limit)
        times[contender.name] = answer.get("error", [])
    for seed in range(1, repeats + 1):
        for contender in contenders:
            taken = times[contender.name]
            if isinstance(taken, list):
                answer = contender.ask({**question, "seed": seed}, limit)
                taken.append(answer.get("seconds", np.nan))
                if "error" in answer:
                    times[contender.name] = answer["error"]
    return times


def line(d: int, n: int, times: dict[str, list[float] | str]) -> str:
    """A row of the table: our seconds, then each other's time as a multiple of ours, [range over the rounds]."""
    ours = times["causalkit"]
    if isinstance(ours, str):
        return f"| {d} | {n:,} | {ours} |"
    seconds = statistics.median(ours)
    cells = [str(d), f"{n:,}", f"{seconds:.2g}", f"{n / seconds:.2g}"]
    for name, taken in times.items():
        if name != "causalkit" and isinstance(taken, str):
            cells.append(taken)
        elif name != "causalkit":
            ratios = sorted(other / own for other, own in zip(taken, ours, strict=True))
            cells.append(f"{statistics.median(ratios):.2g} [{ratios[0]:.2g}, {ratios[-1]:.2g}]")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints a table a family and verb."""
    whole: Callable[[str], list[int]] = lambda text: [int(float(part)) for part in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="NAME=INTERPRETER")
    parser.add_argument("--families", default="linear,mlp,table")
    parser.add_argument("--verbs", default="sample,counterfactual,log_prob")
    parser.add_argument("--d", type=whole, default=[10, 50, 200, 1000])
    parser.add_argument("--n", type=whole, default=[1000, 100_000])
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, beside causalkit and floor")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a contender's turn in a round")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds a call")
    options = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    wanted = {"causalkit", "floor", *options.only.split(",")}
    contenders = {
        name: Contender(name, pythons.get(SAME.get(name, name), sys.executable), options.threads) for name in CONTENDERS
    }
    began = time.perf_counter()
    for family in options.families.split(","):
        able = [name for name in DOES[family]["sample"] if name in wanted]
        able = check_laws(contenders, family, able, options.limit)
        for verb in (v for v in options.verbs.split(",") if v in DOES[family]):
            names = [name for name in DOES[family][verb] if name in able]
            print(f"\n{family}, {verb}\n\n| d | n | causalkit, s | rows/s | {' | '.join(names[1:])} |")
            print("|---|---|---|---|" + "---|" * (len(names) - 1), flush=True)
            for d in options.d:
                for n in options.n:
                    question = {"family": family, "d": d, "n": n, "verb": verb, "seconds": options.seconds}
                    times = measure([contenders[v] for v in names], question, options.repeats, options.limit)
                    print(line(d, n, times), flush=True)
            print()
        for contender in contenders.values():
            contender.end("done")
    print(f"{options.repeats} rounds, {options.threads} thread(s), {time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
