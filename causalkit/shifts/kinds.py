"""The kinds of shift: a function each, which makes a `Shift`; `SHIFTS` lists them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from causalkit.shifts.shift import Shift

__all__ = ["SHIFTS", "concept", "confounding", "covariate", "label", "selection", "soft", "spurious"]


def covariate(
    target: str,
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    on: Iterable[str] | None = None,
    how: str | None = None,
) -> Shift:
    """The causes move: the noise mean of each variable in `on` by `strength` of its standard deviations.

    Mechanisms of neither the target nor its children change, so P(y | parents) stands. By default `on` is every
    observed root among the target's ancestors. how="scale" spreads or narrows their noise instead.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> shifted = covariate("y", nats=2.0)(scm)
        >>> round(float(shifted.sample(10_000, seed=0)["x"].mean()), 1)
        2.0
    """
    return Shift("covariate", target, strength, nats, direction, on, how)  # type: ignore[arg-type]


def label(target: str, *, strength: float | None = None, nats: float | None = None, direction: int = 1) -> Shift:
    """P(y) moves while P(x | y) stands.

    A root target's own noise mean moves by `strength` standard deviations. A target with causes is shifted by
    outcome-dependent sampling: rows are kept with weight exp(+-strength z), z = (y - mean) / sd clipped at +-3; for
    a Gaussian y that is a move of its mean by about `strength` standard deviations. The result is a `Selected`.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> bool(label("y", strength=1.0)(scm).sample(1000, seed=0)["y"].mean() > 1.2)
        True
    """
    return Shift("label", target, strength, nats, direction)


def concept(
    target: str,
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    how: str | None = None,
) -> Shift:
    """The target's own mechanism moves: what it hears of its causes is multiplied by 1 + direction * strength.

    The causes' deviations from their means are multiplied, so the target's mean moves little.

    Raises:
        ValueError: When called on an SCM in which the target is a root: that would be a label shift.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}, scale=0.1)})
        >>> frame = concept("y", strength=2.0, direction=-1)(scm).sample(1000, seed=0)
        >>> round(float(frame.corr().loc["x", "y"]), 1)
        -1.0
    """
    return Shift("concept", target, strength, nats, direction, how=how)


def spurious(
    target: str,
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    on: Iterable[str] | None = None,
    how: str | None = None,
) -> Shift:
    """The target's effects move: each observed child hears its deviation from the mean times 1 + direction * strength.

    The target's own mechanism stands, and so does P(y | parents); P(y | all features) does not.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"y": ck.linear(), "z": ck.linear({"y": 1.0}, scale=0.1)})
        >>> frame = spurious("y", strength=1.0, direction=-1)(scm).sample(1000, seed=0)
        >>> bool(abs(frame.corr().loc["y", "z"]) < 0.1)
        True
    """
    return Shift("spurious", target, strength, nats, direction, on, how)  # type: ignore[arg-type]


def confounding(
    target: str,
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    on: Iterable[str] | None = None,
) -> Shift:
    """A hidden common cause gets louder or weaker: its children hear it times 1 + direction * strength.

    By default `on` is every hidden variable that is a parent of the target and of another variable. The target's
    mechanism is among those that change, so nothing is promised about P(y | its observed causes).

    Example:
        >>> import causalkit as ck
        >>> heard = ck.linear({"h": 1.0})
        >>> scm = ck.SCM({"h": ck.linear(), "x": heard, "y": heard}, hidden=["h"])
        >>> frame = confounding("y", strength=1.0, direction=-1)(scm).sample(1000, seed=0)
        >>> bool(abs(frame.corr().loc["x", "y"]) < 0.1)
        True
    """
    return Shift("confounding", target, strength, nats, direction, on)  # type: ignore[arg-type]


def selection(
    target: str,
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    on: Iterable[str] | None = None,
) -> Shift:
    """Rows are seen with a chance that depends on the variables in `on`, all mechanisms standing.

    The weight is exp(+-strength z), z the sum of their standardised values over the root of their number, clipped
    at +-3. By default `on` is the target and its observed causes (its effects if it has none), which selection
    makes dependent (Berkson 1946; of Gaussian variables in a linear SCM, such weights move the means and, but for the
    clipping, no covariance). The result is a `Selected`.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear()})
        >>> frame = selection("y", strength=2.0, on=["x", "y"])(scm).sample(1000, seed=0)
        >>> bool(frame["x"].mean() > 1)
        True
    """
    return Shift("selection", target, strength, nats, direction, on)  # type: ignore[arg-type]


def soft(
    on: str | Iterable[str],
    *,
    strength: float | None = None,
    nats: float | None = None,
    direction: int = 1,
    how: str | None = None,
    target: str | None = None,
) -> Shift:
    """A soft intervention: the mechanisms of the named variables move, whichever they are.

    `how` is "location" (the default), "gain" or "scale". The target is read by its certificate alone.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> soft("y", nats=0.1, how="scale")(scm).mechanisms["y"].noise.scale.__round__(3)
        1.331
    """
    return Shift("soft", target, strength, nats, direction, on, how)  # type: ignore[arg-type]


SHIFTS: dict[str, Callable[..., Shift]] = {
    "covariate": covariate,
    "label": label,
    "concept": concept,
    "spurious": spurious,
    "confounding": confounding,
    "selection": selection,
}
"""Kinds of shift: name -> function(target, nats= or strength=, direction=)."""
