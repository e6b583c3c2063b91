"""Counterfactuals of learned SCMs beside the truth: the kit's mechanisms, dowhy.gcm and causalflows, in one run.

    OMP_NUM_THREADS=1 python benchmarks/peers/counterfactuals.py quality --python dowhy=ENV/bin/python \
        --python causalflows=ENV/bin/python [--scms nlin,lin] [--seeds 5] [--rows 20000]
    OMP_NUM_THREADS=1 python benchmarks/peers/counterfactuals.py size [--d 3,5,10,20,50]

`quality`: the DAG is given, a seed is a data set and a model. CF: mean over 2,000 new rows of the Euclidean norm,
over all variables in their own units, of the counterfactual error, under do at the 25, 50 and 75% quantiles of each
variable that has effects. KL: mean of log p - log q over 20,000 new rows, nats. Both as mean [least, most] over the
seeds. The seconds to learn are of wall clock (and of CPU), microseconds are of one row of one counterfactual. Every
job is a process of its own, one at a time; `--python NAME=INTERPRETER` gives a contender its own environment; imports
are counted (libraries import when they are first used), data are not. `size`: seconds and microseconds on random SCMs
of d variables.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from counterfactual_models import CONTENDERS, KIT

import causalkit as ck
from causalkit.seeds import integer

UNSEEN = {  # SCMs that nothing here was tuned on: variables, mechanism, noise, seed
    "location_scale 5": (5, "location_scale", "exponential", 1),
    "post_nonlinear 6": (6, "post_nonlinear", "gaussian", 2),
    "mlp 9 laplace": (9, "mlp", "laplace", 3),
    "gp 9 mixture": (9, "gp", "mixture", 4),
    "linear 9 uniform": (9, "linear", "uniform", 5),
}


def make(name: str) -> ck.SCM:
    """A reference or an unseen SCM."""
    if name in ("nlin", "lin", "vaca"):
        return ck.triangle(name)
    d, mechanism, noise, seed = UNSEEN[name]
    return ck.random_scm(d, degree=2.0, mechanism=mechanism, noise=noise, seed=seed)


def learn(contender: str, python: str, truth: ck.SCM, rows: int, seed: int) -> dict:
    """One job in a process of its own: CF, KL, seconds, microseconds; or why there is none."""
    names = list(truth.variables)
    train, many, new, fresh = (
        truth.sample(n, seed=integer(seed, what)) for what, n in
        (("train", rows), ("quantiles", 10_000), ("rows", 2000), ("fresh", 20_000))
    )  # fmt: skip
    causes = [v for v in names if list(truth.graph.successors(v))]
    asked = [(v, float(many[v].quantile(q))) for v in causes for q in (0.25, 0.5, 0.75)]
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "table.npz", Path(folder) / "out.npz"
        np.savez(
            table, train=train.to_numpy(), rows=new.to_numpy(), fresh=fresh.to_numpy(), names=json.dumps(names),
            edges=json.dumps(list(truth.graph.edges)), causes=[names.index(v) for v, _ in asked],
            values=[value for _, value in asked], seed=integer(seed, "model"),
        )  # fmt: skip
        script = str(Path(__file__).with_name("counterfactual_models.py"))
        command = [python, "-W", "ignore", script, contender, str(table), str(out)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1][:90]}
        found = np.load(out)
        gaps = [found["answers"][k] - truth.counterfactual(new, {v: a}).to_numpy() for k, (v, a) in enumerate(asked)]
        return {
            "cf": float(np.mean([np.sqrt((gap**2).sum(1)).mean() for gap in gaps])),
            "kl": float(np.mean(truth.log_prob(fresh) - found["density"])),
            **{key: float(found[key]) for key in ("seconds", "cpu", "microseconds")},
        }


def show(name: str, contender: str, found: list[dict]) -> None:
    """A line of the table: mean [least, most] over the seeds."""
    failed = next((f["error"] for f in found if "error" in f), None)
    if failed:
        print(f"{name:18} {contender:15} {failed}", flush=True)
        return
    texts = []
    for key, form in (("cf", ".3f"), ("kl", ".4f"), ("seconds", ".0f"), ("cpu", ".0f"), ("microseconds", ".1f")):
        v = [f[key] for f in found]
        texts.append(f"{np.mean(v):{form}} [{min(v):{form}}, {max(v):{form}}]")
    print(f"{name:18} {contender:15} " + "".join(f"{text:27}" for text in texts), flush=True)


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["quality", "size"])
    parser.add_argument("--scms", default=",".join(["nlin", "lin", *UNSEEN]))
    parser.add_argument("--contenders", default="linear,additive,location_scale,flow,auto,vae,dowhy,causalflows")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--d", default="3,5,10,20,50")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=INTERPRETER")
    asked = parser.parse_args()
    pythons = dict(text.split("=", 1) for text in asked.python)
    print(f"{'SCM':18} {'contender':15} " + "".join(f"{t:27}" for t in ("CF", "KL", "seconds", "CPU", "microseconds")))
    contenders = asked.contenders.split(",")
    if asked.what == "size":
        worlds = {f"d = {d}": ck.random_scm(int(d), degree=2.0, mechanism="mlp", seed=0) for d in asked.d.split(",")}
        contenders = [c for c in contenders if c in (*KIT, *pythons) and c != "linear"]
    else:
        worlds = {name: make(name) for name in asked.scms.split(",")}
    for name, truth in worlds.items():
        for contender in contenders:
            if contender not in CONTENDERS:
                sys.exit(f"unknown contender {contender!r}: choose among {', '.join(CONTENDERS)}")
            python = pythons.get(contender, sys.executable)
            show(name, contender, [learn(contender, python, truth, asked.rows, seed) for seed in range(asked.seeds)])


if __name__ == "__main__":
    main()
