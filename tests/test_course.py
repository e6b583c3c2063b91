"""The exercise: every variant can be solved, wrong answers do not pass, ids matter."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.course import adjustment_exercise, variant

IDS = ["ada", "00123", "grace.hopper", "Ünal", "x" * 200]


def solve(frame):
    """The reference solution, from the data alone: regressions along the graph z -> x -> m -> y, z -> y."""

    def fit(target, columns):
        return np.linalg.lstsq(np.column_stack([frame[columns], np.ones(len(frame))]), frame[target], rcond=None)[0]

    effect = fit("y", ["x", "z"])[0]
    x_to_m, m_to_y = fit("m", ["x"])[0], fit("y", ["m", "z"])[0]
    row = frame.iloc[0]
    return {
        "adjust for": ["z"],
        "effect": float(effect),
        "counterfactual": float(row["y"] - x_to_m * m_to_y * row["x"]),
    }


@pytest.mark.parametrize("student", IDS)
def test_the_reference_solution_gets_full_marks_and_the_known_mistakes_do_not(student):
    exercise = adjustment_exercise(student)
    frame, solution = exercise.frame, solve(exercise.frame)
    assert [exercise.mark(q, a).points for q, a in solution.items()] == [1, 1, 1]
    naive = float(np.polyfit(frame["x"], frame["y"], 1)[0])
    mistakes = {"effect": [naive, -solution["effect"], 0.0], "adjust for": [[], ["m"], ["z", "m"], ["s"], 3]}
    for question, answers in mistakes.items():
        assert not any(exercise.mark(question, a).right for a in answers)
    assert "what you see" in exercise.mark("effect", naive).feedback


def test_ids_make_variants_and_the_same_id_the_same_one():
    frames = [adjustment_exercise(s).frame for s in IDS]
    assert len({variant(s, "adjustment") for s in IDS}) == len(IDS)
    pd.testing.assert_frame_equal(frames[0], adjustment_exercise(" ADA").frame, check_exact=True)
    others = [solve(f)["effect"] for f in frames]
    right = [adjustment_exercise("ada").mark("effect", e).right for e in others]
    assert right == [True, False, False, False, False]


def test_answers_are_data_not_objects_that_claim_to_be_right():
    class Yes(float):
        def __eq__(self, other):
            return True

        def __sub__(self, other):
            return 0.0

        __hash__ = None

    exercise = adjustment_exercise("ada")
    for answer in (Yes(99.0), "1.0", np.array([1.0]), float("nan"), True, [1.0]):
        assert not exercise.mark("effect", answer).right


def test_bad_input():
    with pytest.raises(ValueError, match="give your id as text"):
        adjustment_exercise("")
    with pytest.raises(ValueError, match="give your id as text"):
        ck.course.variant(7, "adjustment")
    with pytest.raises(ValueError, match="did you mean 'effect'"):
        adjustment_exercise("ada").mark("efect", 1.0)
