"""Does a shift have the nats that it was asked for? Random SCMs, every kind of shift, and an independent estimate.

    python benchmarks/dial.py [--count 200] [--output results/dial]

Each SCM draws a family and a noise for every variable, and has one kind of shift, in turn. The estimate knows nothing
of how the dial computes divergences: rows of the shifted SCM, from a stream of their own, and the mean of the log ratio
of the two densities, `scm.log_density_ratio`. Where both have the same support, 1/r - 1 has the mean 0; if no row makes
up 1% of its sum of squares, as much of it as a regression says is added (a control variate). Rows are drawn until the
estimate's own standard error is 0.5% of what was asked for, and 0.2% if it is off by over 1%, so that what comes near
2% is told apart from the noise of the check. Writes dial.csv (a row a case) and dial.png.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.seeds import integer
from causalkit.selection import Selected
from causalkit.shifts import Shift, Unreachable

NATS = (0.01, 0.1, 1.0)
KINDS: dict[str, Callable[..., Shift]] = {
    "covariate, location": ck.shifts.covariate,
    "covariate, scale": partial(ck.shifts.covariate, how="scale"),
    "label": ck.shifts.label,
    "concept, gain": ck.shifts.concept,
    "concept, location": partial(ck.shifts.concept, how="location"),
    "concept, scale": partial(ck.shifts.concept, how="scale"),
    "spurious, gain": ck.shifts.spurious,
    "spurious, location": partial(ck.shifts.spurious, how="location"),
    "spurious, scale": partial(ck.shifts.spurious, how="scale"),
    "confounding": ck.shifts.confounding,
    "selection": ck.shifts.selection,
    "soft, location": ck.shifts.soft,
    "soft, gain": partial(ck.shifts.soft, how="gain"),
    "soft, scale": partial(ck.shifts.soft, how="scale"),
}
FAMILIES = ["linear", "mlp", "sigmoidal", "gp", "location_scale", "post_nonlinear", "logistic", "categorical"]
NOISES = ["gaussian", "laplace", "student_t", "gumbel", "mixture", "uniform", "exponential"]
BOUNDED = ("uniform", "exponential")
ROWS, MOST = 100_000, 5_000_000


def random_case(index: int, kind: str) -> tuple[ck.SCM, Callable[..., Shift], str]:
    """An SCM, a shift that it allows (a function of nats=), and what the latter is of."""
    for attempt in range(1000):
        draw = random.Random(f"{index} {attempt}")
        graph = ck.graphs.erdos_renyi(draw.randint(4, 7), 1.5, seed=integer(index, "graph", attempt))
        if kind == "confounding":
            graph = ck.graphs.confounded(graph, 2, seed=integer(index, "pairs", attempt))
        # a square of Student's t has no fourth moment: polynomials stand beside lighter noise, on shallow graphs
        shallow = nx.dag_longest_path_length(graph) <= 2 and draw.random() < 0.5
        families = [*FAMILIES, "polynomial"] if shallow else FAMILIES
        scm = ck.random_scm(len(graph), graph=graph, mechanism=families, seed=integer(index, "scm", attempt))
        noises = [n for n in NOISES if not (shallow and n == "student_t")]
        weights = [0.4 if n in BOUNDED else 1.0 for n in noises]
        mixed = {
            v: replace(m, noise=replace(m.noise, family=draw.choices(noises, weights)[0]))
            for v, m in scm.mechanisms.items()
            if m.levels is None
        }
        scm = scm.replace(mixed)
        direction, names = draw.choice([1, -1]), list(scm.observed)
        target = draw.choice(names)
        of = draw.sample(names, 2) if kind.startswith("soft") else target
        make = partial(KINDS[kind], of, direction=direction)
        try:
            make(strength=0.1)(scm)
        except ValueError:
            continue  # the graph, or a discrete variable, does not allow this one
        return scm, make, f"{of} {direction:+d}"
    raise RuntimeError(f"no random SCM allows {kind}")


def estimate(scm: ck.SCM, shift: Shift, strength: float, error: float, seed: int) -> tuple[float, float, int]:
    """KL(shifted || scm) from rows of the shifted SCM and log density ratios, its standard error, and the rows.

    The error is relative to what was asked for.
    """
    shifted = shift.by(scm, strength)
    moved = [scm.mechanisms[v] for v in shift.changed(scm)]
    # what is no cause of what moved, nor moved itself, cancels in the ratio and is not drawn
    if isinstance(shifted, Selected):
        scm = scm.marginal(shifted.on)
        shifted = Selected(scm, shifted.weight, shifted.on)
    else:
        scm, shifted = (model.marginal(shift.changed(scm)) for model in (scm, shifted))
    same_support = not any(m.levels is None and m.noise.family in BOUNDED for m in moved)
    logs: list[np.ndarray] = []
    while True:
        frame = shifted.sample(ROWS, seed=integer(seed, "check", len(logs)), hidden=True)
        logs.append(scm.log_density_ratio(shifted, frame))
        log_r = np.concatenate(logs)
        found, se = float(log_r.mean()), float(log_r.std()) / math.sqrt(len(log_r))
        if same_support:
            control = np.expm1(-log_r)
            share = np.cov(log_r, control)
            better = log_r - share[0, 1] / share[1, 1] * control
            if (control**2).max() < 0.01 * (control**2).sum():
                found, se = float(better.mean()), float(better.std()) / math.sqrt(len(log_r))
        close = abs(found / shift.nats - 1) < 2 * error
        if se <= error * shift.nats * (1.0 if close else 0.4) or len(log_r) >= MOST:
            return found, se, len(log_r)


def cases(count: int, nats: tuple[float, ...], share: float) -> Iterator[dict]:
    """A row for each SCM and each of the nats asked for: what was found, or why there is nothing to find."""
    kinds = list(KINDS)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        scm, make, of = random_case(index, kind)
        for asked in nats:
            row = {"scm": index, "kind": kind, "of": of, "asked": asked, "found": math.nan, "se": math.nan}
            row |= {"rows": 0, "reason": "", "dial_s": 0.0, "check_s": 0.0}
            start = time.perf_counter()
            try:
                shift = make(nats=asked)
                row["strength"] = shift.strength_on(scm)
            except Unreachable as reason:
                row["reason"] = str(reason)
            row["dial_s"] = time.perf_counter() - start
            if not row["reason"]:
                row["found"], row["se"], row["rows"] = estimate(
                    scm, shift, row["strength"], share, integer(index, "rows")
                )
                row["check_s"] = time.perf_counter() - start - row["dial_s"]
            yield row


def measure(count: int, nats: tuple[float, ...] = NATS, share: float = 0.005, *, told: bool = False) -> pd.DataFrame:
    """The table of all cases, with the relative error and the same in standard errors of the check."""
    rows = []
    for row in cases(count, nats, share):
        rows.append(row)
        if told:
            error = row["found"] / row["asked"] - 1
            print(f"{row['scm']:4} {row['kind']:<20} {row['of']:<14} {row['asked']:<5} {error:+8.2%} "
                  f"(se {row['se'] / row['asked']:.2%}) {row['dial_s']:5.1f} s {row['check_s']:5.1f} s "
                  f"{row['reason'][:90]}", flush=True)  # fmt: skip
    table = pd.DataFrame(rows)
    table["error"] = table["found"] / table["asked"] - 1
    table["in_se"] = (table["found"] - table["asked"]) / table["se"]
    return table


def summary(table: pd.DataFrame) -> str:
    """The table in words, as benchmarks/README.md quotes it."""
    found = table[table["reason"] == ""]
    vague = found["se"] > 0.01 * found["asked"]
    found = found[~vague]
    lines = ["| asked | cases | within 2% | median of the error | largest | in standard errors of the check |"]
    lines += ["|---|---|---|---|---|---|"]
    for asked, part in found.groupby("asked"):
        worst = part.loc[part["error"].abs().idxmax()]
        lines.append(
            f"| {asked:g} | {len(part)} | {(part['error'].abs() <= 0.02).mean():.1%} | "
            f"{part['error'].abs().median():.2%} | {worst['error']:+.2%} ({worst['kind']}) | "
            f"{abs(worst['in_se']):.1f} |"
        )
    refused = table["reason"].map(lambda text: text.split(":")[0].split(" nats ")[-1])[table["reason"] != ""]
    lines += ["", *(f"{n} refused: {reason}" for reason, n in refused.value_counts().items())]
    lines.append(f"{vague.sum()} not told by the check, whose own standard error stays above 1%")
    lines.append(f"median seconds: dial {table['dial_s'].median():.2f}, check {found['check_s'].median():.2f}")
    return "\n".join(lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Relative error of every case by kind, in three panels for what was asked, with the band of 2%."""
    import matplotlib.pyplot as plt

    from causalkit.plotting.style import COLOURS

    found, kinds = table[table["reason"] == ""], list(KINDS)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    for ax, (asked, part) in zip(axes, found.groupby("asked"), strict=False):
        ax.axvspan(-2, 2, color="0.92")
        ax.axvline(0, color="0.5", lw=0.8)
        for marker, colour, sign in (("o", COLOURS[0], "+1"), ("^", COLOURS[1], "-1")):
            mine = part[part["of"].str.endswith(sign)]
            ax.errorbar(100 * mine["error"], [kinds.index(k) for k in mine["kind"]], xerr=100 * mine["se"] / asked,
                        fmt=marker, color=colour, ms=4, lw=0.6, alpha=0.8, label=f"direction {sign}")  # fmt: skip
        out = int((part["error"].abs() > 0.03).sum())
        ax.set(title=f"asked for {asked:g} nats" + f" ({out} beyond 3%)" * (out > 0), xlim=(-3, 3))
        ax.set_xlabel("error, % of what was asked")
    axes[0].set_yticks(range(len(kinds)), kinds)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measures, prints the summary, and writes table and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="number of random SCMs")
    parser.add_argument("--output", type=Path, default=Path("results/dial"), help="directory for dial.csv and dial.png")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    table = measure(options.count, told=True)
    table.to_csv(options.output / "dial.csv", index=False)
    draw(table, options.output / "dial.png")
    print(summary(table))


if __name__ == "__main__":
    main()
