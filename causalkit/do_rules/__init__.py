"""The three rules of do-calculus, decided by d-separation in mutilated graphs.

A mutilated graph is the causal graph without the arrows into some variables (they are set, and listen to nobody) or
out of others. Each rule says: where y and z are d-separated given x and w in one such graph, two probabilities are
equal in *every* SCM of the causal graph. Where they are not, the two differ in almost every SCM of it.

Source: Pearl (2009), Causality, theorem 3.4.1. The rules are complete: what they cannot show equal is not
(Shpitser and Pearl 2006; Huang and Valtorta 2006).
"""

from causalkit.do_rules.paths import describe_path, mutilated, open_path, path_text, probability
from causalkit.do_rules.rules import RULES, Application, applies

__all__ = ["RULES", "Application", "applies", "describe_path", "mutilated", "open_path", "path_text", "probability"]
