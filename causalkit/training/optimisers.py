"""Optimisers on a matrix of parameters, one replicate a row, each row with a learning rate of its own.

An optimiser is a function (gradient, memory) -> direction: `fit` moves the parameters by -rate * direction. Whatever
it remembers between steps it keeps in `memory`, a dict that is empty at the first step. PyTorch's own optimisers
take one learning rate for all; these exist so that a sweep over rates is one program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

__all__ = ["OPTIMISERS", "Optimiser", "adam", "lbfgs", "momentum", "sgd"]

Optimiser = Callable[[torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]


def adam(
    gradient: torch.Tensor, memory: dict[str, torch.Tensor], betas: tuple[float, float] = (0.9, 0.95)
) -> torch.Tensor:
    """m / (sqrt v + 1e-8), the running means of the gradient and of its square, without their bias to 0.

    The usual second beta is 0.999. Penalties start large and fall far: with it Adam would remember the start and stall.
    Protocols that were published with the usual one take `functools.partial(adam, betas=(0.9, 0.999))`.

    Source: Kingma and Ba (2015), algorithm 1.

    Example:
        >>> adam(torch.tensor([[4.0, -0.5, 0.0]]), {})  # the first step: the sign of the gradient
        tensor([[ 1., -1.,  0.]])
    """
    slow, fast = betas
    if not memory:
        memory |= {"m": torch.zeros_like(gradient), "v": torch.zeros_like(gradient), "t": torch.zeros(())}
    memory["t"] += 1
    memory["m"].lerp_(gradient, 1 - slow)
    memory["v"].mul_(fast).addcmul_(gradient, gradient, value=1 - fast)
    t = memory["t"].item()
    return (memory["m"] / (1 - slow**t)) / ((memory["v"] / (1 - fast**t)).sqrt_().add_(1e-8))


def sgd(gradient: torch.Tensor, memory: dict[str, torch.Tensor]) -> torch.Tensor:
    """The gradient itself: steepest descent.

    Example:
        >>> sgd(torch.tensor([[4.0, -0.5]]), {})
        tensor([[ 4.0000, -0.5000]])
    """
    return gradient


def momentum(gradient: torch.Tensor, memory: dict[str, torch.Tensor]) -> torch.Tensor:
    """The sum of past gradients, each counting 0.9 of the next (Polyak 1964), as torch.optim.SGD(momentum=0.9) does.

    Example:
        >>> memory = {}
        >>> momentum(torch.ones(1, 1), memory), momentum(torch.ones(1, 1), memory)
        (tensor([[1.]]), tensor([[1.9000]]))
    """
    memory["sum"] = gradient if not memory else 0.9 * memory["sum"] + gradient
    return memory["sum"]


def lbfgs(
    value: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, steps: int
) -> tuple[torch.Tensor, list[tuple[float, float]]]:
    """The minimum of a smooth function from one start, by SciPy's L-BFGS with a line search, in float64.

    Args:
        value: Of the parameters [parameters], a scalar.
        start: [parameters].
        steps: The most iterations.

    Returns:
        The parameters, and (value, norm of the gradient) at the start and after each iteration.

    Source: Liu and Nocedal (1989).

    Example:
        >>> found, course = lbfgs(lambda x: ((x - 3.0) ** 2).sum(), torch.zeros(2), 50)
        >>> found, course[0]
        (tensor([3., 3.]), (18.0, 8.48528137423857))
    """
    from scipy.optimize import minimize

    both = torch.func.grad_and_value(value)
    course: list[tuple[float, float]] = []

    def at(point: np.ndarray) -> tuple[float, np.ndarray]:
        gradient, now = both(torch.as_tensor(point).to(start))
        return float(now), gradient.double().cpu().numpy()

    def note(point: np.ndarray) -> None:
        now, gradient = at(point)
        course.append((now, float(np.linalg.norm(gradient))))

    first = start.double().cpu().numpy()
    note(first)
    options = {"maxiter": steps, "maxfun": 20 * steps, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    found = minimize(at, first, jac=True, method="L-BFGS-B", callback=note, options=options)
    return torch.as_tensor(found.x).to(start), course


OPTIMISERS: dict[str, Optimiser] = {"adam": adam, "sgd": sgd, "momentum": momentum}
"""Optimisers: name -> function. `fit` takes a name, a function, or "lbfgs", which SciPy does."""
