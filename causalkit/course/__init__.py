"""Exercises that mark themselves, on data drawn from the student's own id."""

from causalkit.course.exercise import Exercise, Mark, adjustment_exercise, variant

__all__ = ["Exercise", "Mark", "adjustment_exercise", "variant"]
