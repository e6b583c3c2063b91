"""A self-marking exercise: a data set of one's own, questions, and marks that say what went wrong.

The data depend on the student's id alone, so neighbours cannot copy numbers, and the same id always gives the same
exercise. Marking happens on the student's machine and is for learning; it keeps no secrets from a determined reader.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from causalkit.errors import unknown
from causalkit.mechanisms import linear, uniform_weights
from causalkit.scm import SCM
from causalkit.seeds import generator

__all__ = ["Exercise", "Mark", "adjustment_exercise", "variant"]


def variant(student_id: str, exercise: str) -> int:
    """The seed of a student's own data, from id and exercise by SHA-256; case and outer spaces do not matter.

    Raises:
        ValueError: The id is not text, or is empty.

    Example:
        >>> variant("ada", "adjustment") == variant(" Ada ", "adjustment") != variant("ada", "discovery")
        True
    """
    if not isinstance(student_id, str) or not student_id.strip():
        raise ValueError(f"student id {student_id!r}: give your id as text, student_id = '00123'")
    text = f"{exercise}|{student_id.strip().lower()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 2**31


@dataclass(frozen=True)
class Mark:
    """The verdict on one answer: right or not, points, and a sentence of feedback."""

    question: str
    right: bool
    points: int
    feedback: str

    def __str__(self) -> str:
        return f"{'RIGHT' if self.right else 'not yet'} ({self.points} of 1): {self.question}: {self.feedback}"


@dataclass(frozen=True, eq=False)
class Exercise:
    """A data set and questions about it.

    Attributes:
        frame: The student's own observational data [n, columns].
        questions: Name -> what is asked.
        checks: Name -> function from an answer to (right, feedback).
    """

    frame: pd.DataFrame
    questions: Mapping[str, str]
    checks: Mapping[str, Callable[[object], tuple[bool, str]]]

    def mark(self, question: str, answer: object) -> Mark:
        """The mark of an answer; None means not answered yet.

        Raises:
            ValueError: There is no such question.
        """
        if question not in self.checks:
            raise unknown("question", question, self.checks)
        if answer is None:
            return Mark(question, False, 0, "not answered yet")
        right, feedback = self.checks[question](answer)
        return Mark(question, right, int(right), feedback)


def adjustment_exercise(student_id: str, *, n: int = 2000) -> Exercise:
    """Confounding, adjustment, and one counterfactual, in a linear SCM z -> x -> m -> y, z -> y, y -> s.

    Weights and data depend on the student's id. Variants in which a wrong answer would pass for a right one are
    drawn again: the naive slope, and the one that adjusts for everything, must miss the effect by 0.3 at least.

    Args:
        student_id: Any text.
        n: Rows.

    Raises:
        ValueError: An empty id.

    Example:
        >>> exercise = adjustment_exercise("ada")
        >>> print(exercise.mark("adjust for", ["z"]))
        RIGHT (1 of 1): adjust for: z blocks the only back-door path, and m and s are effects of x.
        >>> exercise.mark("effect", None).feedback
        'not answered yet'
    """
    seed = variant(student_id, "adjustment")
    for attempt in range(1000):
        draw = generator(seed, "weights", attempt)
        zx, zy, xm, my, ys = uniform_weights((5,), draw).tolist()
        scm = SCM(
            {
                "z": linear(),
                "x": linear({"z": zx}),
                "m": linear({"x": xm}),
                "y": linear({"m": my, "z": zy}),
                "s": linear({"y": ys}),
            }
        )
        frame = scm.sample(n, seed=generator(seed, "rows", attempt))
        effect = xm * my
        wrong = [_slope(frame, ["x"]), _slope(frame, ["x", "z", "m", "s"])]
        if abs(effect) > 0.4 and min(abs(w - effect) for w in wrong) > 0.3:
            break
    truth = float(scm.counterfactual(frame.iloc[[0]], {"x": 0.0})["y"].iloc[0])
    return Exercise(
        frame,
        MappingProxyType(
            {
                "adjust for": "Which variables must a regression of y on x adjust for, to give the effect of x on y?",
                "effect": "By how much does the mean of y change under do(x = 1) against do(x = 0)?",
                "counterfactual": "What would y have been in the first row, had x been 0?",
            }
        ),
        MappingProxyType(
            {
                "adjust for": _check_set,
                "effect": lambda answer: _check_number(answer, effect, 0.15, _slope(frame, ["x"])),
                "counterfactual": lambda answer: _check_number(answer, truth, 0.3, float(frame["y"].iloc[0])),
            }
        ),
    )


def _slope(frame: pd.DataFrame, columns: list[str]) -> float:
    """The coefficient of the first column in a least-squares regression of y."""
    design = np.column_stack([frame[columns], np.ones(len(frame))])
    return float(np.linalg.lstsq(design, frame["y"].to_numpy(), rcond=None)[0][0])


def _check_set(answer: object) -> tuple[bool, str]:
    names = {answer} if isinstance(answer, str) else set(answer) if isinstance(answer, (list, tuple, set)) else None
    if names == {"z"}:
        return True, "z blocks the only back-door path, and m and s are effects of x."
    if names is None:
        return False, f"give a list of names, like ['z'], not {answer!r}."
    if names & {"m", "s"}:
        return False, "you adjust for an effect of x: that hides part of what x does, or opens a path."
    if not names:
        return False, "z drives both x and y: without it the path x <- z -> y stays open."
    return False, f"{sorted(map(str, names))} is not it: look for what drives both x and y."


def _check_number(answer: object, truth: float, tolerance: float, trap: float) -> tuple[bool, str]:
    # type-strict: an object that claims to equal everything is no number
    if type(answer) not in (int, float, np.float64, np.float32, np.int64) or not np.isfinite(answer):  # type: ignore[call-overload]
        return False, f"give a number, not {answer!r}."
    value = float(answer)  # type: ignore[arg-type]
    if abs(value - truth) <= tolerance:
        return True, f"within {tolerance} of the truth, {truth:.2f}."
    if abs(value - trap) <= 0.05:
        return False, "this is what you see, not what doing would give."
    return False, "not within the tolerance of the truth; look at the graph again."
