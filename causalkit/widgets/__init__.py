"""What moves in a notebook: a figure, the sentence that says the same, and the controls that change both.

The drawing function is plain Python, `draw(strength=1.0) -> (figure, sentence)`: it is called once for the static
figure, which reads without a kernel, and again by `explore` whenever a control moves.
"""

from causalkit.widgets.ask import ask
from causalkit.widgets.crossing import Crossing, crossing
from causalkit.widgets.explore import choice, explore, slider
from causalkit.widgets.laboratory import DIAL, ShiftLab, shift_lab
from causalkit.widgets.quiz import quiz
from causalkit.widgets.unit import Unit, unit
from causalkit.widgets.workbench import Workbench, workbench

__all__ = [
    "DIAL",
    "Crossing",
    "ShiftLab",
    "Unit",
    "Workbench",
    "ask",
    "choice",
    "crossing",
    "explore",
    "quiz",
    "shift_lab",
    "slider",
    "unit",
    "workbench",
]
