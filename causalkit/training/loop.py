"""The loop: it moves the parameters of all replicates down their objectives, phase by phase."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from causalkit.objectives import Objective, Phase
from causalkit.seeds import Seed, generator
from causalkit.training.optimisers import OPTIMISERS, Optimiser
from causalkit.training.stacked import Rows, Stacked, looks

__all__ = ["Outcome", "Plan", "train"]


@dataclass(frozen=True, eq=False)
class Plan:
    """How to train: what `fit` was told, checked. Rates are tensors [replicates, 1]."""

    steps: int
    rate: torch.Tensor
    decay: torch.Tensor
    optimiser: str | Optimiser
    cosine: bool
    patience: int | None
    seeds: Sequence[Seed]


@dataclass(eq=False)
class Outcome:
    """What the loop says of one replicate: its course, and how it ended.

    Attributes:
        history: A row every hundredth of the steps.
        diverged: What left the finite numbers, and when; empty if nothing did.
        stopped: The step whose parameters were kept, if training ended early.
        begin: The first step of the last phase: what came before had another objective.
    """

    history: pd.DataFrame
    diverged: str = ""
    stopped: int | None = None
    begin: int = 0


def train(
    stacked: Stacked, rows: Iterator[Rows], held: Rows | None, objectives: Sequence[Objective], plan: Plan
) -> list[Outcome]:
    """Trains in place, and returns an outcome a replicate.

    Args:
        stacked: The networks; its `flat` is moved.
        rows: The rows of each step, endlessly.
        held: Rows that are looked at and not trained on, for early stopping.
        objectives: One a replicate, alike but for their weights.
        plan: Steps, rates, rules.
    """
    course = _Course(stacked, held, plan)
    done = 0
    left: dict[str, torch.Tensor] = {}
    for number, phase in enumerate(_phases(objectives[0], plan.steps)):
        goals = [o.phases[number].objective if o.phases else o for o in objectives]
        last, course.begin = done + phase.steps == plan.steps, done  # type: ignore[operator]
        left = _run_phase(stacked, rows, goals, phase, plan, course, done, last, left)
        done += phase.steps or 0
        if not course.alive.any():
            break
    return course.outcomes(objectives[0].name)


def _phases(objective: Objective, steps: int) -> list[Phase]:
    """The phases with their numbers of steps; the one without a number takes what is left."""
    phases = list(objective.phases) or [Phase(objective)]
    left = steps - sum(phase.steps or 0 for phase in phases)
    if left < 1 and any(phase.steps is None for phase in phases):
        raise ValueError(
            f"objective {objective.name} takes {steps - left} steps before its last phase: give "
            f"steps={steps - left + 100} or more, or shorter phases"
        )
    return [replace(phase, steps=phase.steps or left) for phase in phases]


def _run_phase(
    stacked: Stacked, rows: Iterator[Rows], goals: list[Objective], phase: Phase, plan: Plan, course: _Course,
    done: int, last: bool, left: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Trains for one phase. It takes the state that the phase before left, and returns its own."""
    goal, steps = goals[0], phase.steps or 0
    starts = [each.start(len(stacked.names)) for each in goals]
    state = {key: torch.stack([start[key] for start in starts]).to(stacked.flat.device) for key in starts[0]}
    if phase.enter is not None:
        state = _enter(stacked, next(rows), {**left, **state}, phase, plan, done)
    optimiser = plan.optimiser if phase.optimiser is None else OPTIMISERS[phase.optimiser]
    rate = plan.rate if phase.learning_rate is None else torch.full_like(plan.rate, phase.learning_rate)
    decay = plan.decay if phase.weight_decay is None else torch.full_like(plan.decay, phase.weight_decay)
    trained = stacked.head if phase.trains == "head" else torch.ones_like(stacked.head)
    settled = max([p.start + p.ramp for p in goal.penalties], default=0)
    memory: dict[str, torch.Tensor] = {}
    for step in range(steps + last):
        look = functools.partial(looks, stacked, goal)
        flat = stacked.flat.requires_grad_()
        values, risks, terms, state = look(flat, next(rows), state)
        if goal.rule is None:
            gradient = torch.autograd.grad(values.sum(), flat)[0]
        else:  # a row of the gradient a term: no replicate's terms depend on another's parameters
            each = [torch.autograd.grad(terms[:, t].sum(), flat, retain_graph=True)[0] for t in range(terms.shape[1])]
            gradient = goal.rule.combine(torch.stack(each, 1), terms.detach(), stacked.head)
        gradient = torch.where(trained, gradient, 0.0)
        stacked.flat = flat.detach()
        course.look(done + step, values.detach(), risks, gradient, settled=last and step >= settled)
        if step == steps or not course.alive.any():
            break
        gradient = torch.where(trained, gradient + decay * stacked.flat, 0.0)
        now = rate * (1 + math.cos(math.pi * step / steps)) / 2 if plan.cosine else rate
        moved = stacked.flat - now * optimiser(torch.nan_to_num(gradient), memory)  # type: ignore[operator]
        stacked.flat = torch.where(course.alive[:, None], moved, stacked.flat)
        state = {**state, "step": state["step"] + 1}
    return state


def _enter(
    stacked: Stacked, rows: Rows, state: dict[str, torch.Tensor], phase: Phase, plan: Plan, done: int
) -> dict[str, torch.Tensor]:
    """A phase's `enter`, replicate by replicate: it may change the state and the parameters."""
    states = []
    for r, seed in enumerate(plan.seeds):
        batch = stacked.batch(stacked.flat[r].detach(), stacked.buffer(r), rows.replicate(r), rows.sizes)
        mine = {key: value[r] for key, value in state.items()}
        draw = generator(seed, "phase", done)
        mine, parameters = phase.enter(batch, mine, stacked.unflatten(stacked.flat[r]), draw)  # type: ignore[misc]
        stacked.flat = stacked.flat.detach().clone()
        stacked.flat[r] = stacked.flatten(parameters)
        states.append(mine)
    return {key: torch.stack([mine[key] for mine in states]) for key in states[0]}


class _Course:
    """Keeps the record of training, and which replicates are still in it."""

    def __init__(self, stacked: Stacked, held: Rows | None, plan: Plan) -> None:
        count, device = len(stacked.flat), stacked.flat.device
        self.stacked, self.held, self.plan = stacked, held, plan
        self.every = max(1, plan.steps // 100)
        self.alive = torch.ones(count, dtype=torch.bool, device=device)
        self.diverged = [""] * count
        self.stopped: list[int | None] = [None] * count
        self.best = torch.full((count,), math.inf, dtype=torch.float64, device=device)
        self.best_flat, self.best_step = stacked.flat.clone(), torch.zeros(count, dtype=torch.long, device=device)
        self.records: list[torch.Tensor] = []
        self.begin = 0

    def look(self, step: int, values: torch.Tensor, risks: torch.Tensor, gradient: torch.Tensor, settled: bool) -> None:
        """Notes a step; takes out what diverged and, once the objective has `settled`, what no longer gets better."""
        # the squared norm: a gradient whose square is infinite would leave Adam standing still
        finite = torch.isfinite(values) & torch.isfinite(risks).all(1) & torch.isfinite(gradient.square().sum(1))
        if not finite.all():
            for r in (self.alive & ~finite).nonzero().flatten().tolist():
                bad = [
                    name for name, risk in zip(self.stacked.names, risks[r], strict=True) if not torch.isfinite(risk)
                ]
                where = f"the risk of environment {bad[0]!r}" if bad else "a penalty or its gradient"
                self.diverged[r] = f"at step {step} in replicate {r}: {where} is no longer finite"
            self.alive &= finite
        if step % self.every and step != self.plan.steps:
            return
        out = self._held_out(step, settled) if self.held is not None else risks.new_empty(len(risks), 0)
        norms = gradient.square().sum(1).sqrt()
        head = torch.stack([torch.full_like(norms, step), values, risks.mean(1), norms], 1)
        self.records.append(torch.where(finite[:, None], torch.cat([head, risks, out], 1).double(), math.nan).cpu())

    def _held_out(self, step: int, settled: bool) -> torch.Tensor:
        """The held-out risk [replicates, 1]; a replicate stops that has not bettered its best by 0.1 % for long."""
        risk = self.stacked.risks(self.held).mean(1)  # type: ignore[arg-type]
        if settled and self.plan.patience is not None:
            better = self.alive & (risk < self.best - 1e-3 * self.best.abs().nan_to_num(posinf=0.0))
            self.best = torch.where(better, risk.double(), self.best)
            self.best_flat = torch.where(better[:, None], self.stacked.flat, self.best_flat)
            self.best_step = torch.where(better, step, self.best_step)
            over = self.alive & (step - self.best_step >= self.plan.patience)
            for r in over.nonzero().flatten().tolist():
                self.stopped[r] = int(self.best_step[r])
            self.alive &= ~over
        return risk[:, None]

    def outcomes(self, objective: str) -> list[Outcome]:
        """One a replicate; parameters go back to the best look where training was watched for it."""
        if self.plan.patience is not None:
            back = torch.isfinite(self.best)[:, None]
            self.stacked.flat = torch.where(back, self.best_flat, self.stacked.flat)
        risks = [f"risk_{name}" for name in self.stacked.names]
        columns = ["step", "objective", "risk", "gradient", *risks, *["held_out"] * (self.held is not None)]
        tables = torch.stack(self.records, 1).numpy() if self.records else np.empty((len(self.alive), 0, len(columns)))
        found = []
        for table, diverged, stopped in zip(tables, self.diverged, self.stopped, strict=True):
            history = pd.DataFrame(table, columns=columns).dropna(ignore_index=True).astype({"step": int})
            message = f"objective {objective} diverged {diverged}" if diverged else ""
            found.append(Outcome(history, message, stopped, self.begin))
        return found
