"""castle: a network that also has to rebuild its inputs, each from the others, along an acyclic graph."""

from __future__ import annotations

import torch

from causalkit.objectives.base import Batch, Objective, Penalty, check_number

__all__ = ["acyclicity", "castle", "connections"]

SCALE = 0.1  # first layers start near 0, as published: a graph that is nearly empty has nearly no cycle


def castle(weight: float = 10.0, sparsity: float = 0.1) -> Objective:
    """Regularisation by discovering a graph: mean_e R_e + weight * (L + h(M)^2 + sparsity * V).

    Beside the target's network stands one for each feature j, which predicts x_j from the target and the other
    features: a first layer of its own, then the target network's second layer, which all share, then an output.
    M [features + 1, features + 1] has in M_kj the norm of the weights from variable k in the first layer of j's
    network, the target first; the diagonal is 0.

    - L, the mean over features j and over environments of E_e[(x_j - g_j)^2], rebuilds the features;
    - h(M) = tr exp(M o M) - (features + 1) is 0 where M has no cycle, and only there;
    - V, the mean of all M_kj, k != j, wants few connections.

    What an encoder hides is neither heard nor rebuilt. Features that the graph has no use for are pressed out of the
    target's first layer. Nothing makes the graph the causal one: an acyclic graph may point the wrong way, and then an
    effect of the target stays its "parent": under a spurious shift of the teaching SCM it fails as erm does
    (`tests/test_objectives_castle.py`).

    Source: Kyono, Zhang and van der Schaar (2020), section 3. There L and V are sums, and L counts the target as well;
    here they are means, so that a weight means the same for any number of features. Code of the method adds
    h^2 / 2 + h, and rebuilds a random part of the variables at each step.

    Args:
        weight: Of the whole, at least 0; 0 is erm.
        sparsity: Of V in it, at least 0.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, a classification, or another network than the
            "mlp" with a mask on its inputs alone, since the second layer is shared.

    Example:
        >>> import causalkit as ck
        >>> train = [ck.Environment("a", ck.teaching_scm().sample(100, seed=0))]
        >>> ck.fit(train, ck.Task(("x1", "x3", "x4"), "y"), objective=castle(weight=0.5), steps=10, seed=0)
        Model(y from x1, x3, x4; castle(weight=0.5, sparsity=0.1))
    """
    check_number("castle", "weight", weight)
    check_number("castle", "sparsity", sparsity)
    return Objective(
        f"castle(weight={weight:g}, sparsity={sparsity:g})",
        (
            Penalty(weight, _reconstruction, kind="regression", module={"castle": _Features}),
            Penalty(weight, _squared_acyclicity, kind="regression"),
            Penalty(weight * sparsity, _size, kind="regression"),
        ),
    )


class _Features(torch.nn.Module):
    """The features' own layers: the first ones in one piece [features * width, features + 1], and the outputs."""

    def __init__(self, width: int, inputs: int, environments: int) -> None:
        super().__init__()
        # skip_init: fit draws the weights, from its own seed
        self.first = torch.nn.utils.skip_init(torch.nn.Linear, inputs + 1, inputs * width)
        self.last = torch.nn.utils.skip_init(torch.nn.Linear, width, inputs)


def connections(batch: Batch) -> torch.Tensor:
    """M o M, the squared norms of the first layers' weights [features + 1, features + 1], from row to column.

    Example:
        >>> ones = torch.ones
        >>> parameters = {"backbone.0.weight": ones(16, 1), "backbone.2.weight": ones(16, 16)}
        >>> parameters |= {"castle.first.weight": ones(16, 2), "castle.last.weight": ones(1, 16)}
        >>> connections(Batch(losses=(), parameters=parameters))  # 16 units; first layers of features count a tenth
        tensor([[ 0.0000,  0.1600],
                [16.0000,  0.0000]])
    """
    target, features, _ = _first_layers(batch)
    own = target.square().sum(0)
    return torch.cat([torch.cat([own.new_zeros(1), own])[:, None], features.square().sum(1).mT], 1)


def acyclicity(squares: torch.Tensor) -> torch.Tensor:
    """h = tr exp(M o M) - d for M o M [d, d]: 0 without cycles, else positive, and differentiable.

    Source: Zheng, Aragam, Ravikumar and Xing (2018), theorem 1.

    Example:
        >>> acyclicity(torch.tensor([[0.0, 1.0], [0.0, 0.0]])), acyclicity(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        (tensor(0.), tensor(1.0862))
    """
    return torch.linalg.matrix_exp(squares).diagonal(dim1=-2, dim2=-1).sum(-1) - squares.shape[-1]


def _squared_acyclicity(batch: Batch) -> torch.Tensor:
    return acyclicity(connections(batch)).square()


def _size(batch: Batch) -> torch.Tensor:
    squares = connections(batch)
    apart = 1.0 - torch.eye(len(squares), dtype=squares.dtype, device=squares.device)
    return ((squares + 1e-12).sqrt() * apart).sum() / apart.sum()  # 1e-12: a norm has no slope at 0


def _reconstruction(batch: Batch) -> torch.Tensor:
    """mean_j mean_e E_e[(x_j - g_j)^2], over the features j that the encoder lets through."""
    parameters, (_, first, kept) = batch.parameters, _first_layers(batch)
    start = parameters["castle.first.bias"].view(first.shape[:2])
    shared, bias = parameters["backbone.2.weight"], parameters["backbone.2.bias"]
    last, end = parameters["castle.last.weight"], parameters["castle.last.bias"]
    found = []
    for e, (inputs, targets) in enumerate(zip(batch.inputs, batch.targets, strict=True)):
        variables = torch.cat([targets[:, None], inputs], 1)
        hidden = torch.relu(torch.einsum("nk,jhk->njh", variables, first) + start)
        rebuilt = (torch.relu(hidden @ shared.mT + bias) * last).sum(-1) + end
        found.append((kept * batch.mean((inputs - rebuilt).square(), e)).sum() / kept.sum())
    return torch.stack(found).mean()


def _first_layers(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the target's network [width, features], and of the features' [features, width, features + 1], masked.

    And which features are there at all [features]: what the encoder hides is neither heard nor rebuilt.
    """
    parameters = batch.parameters
    shared, target = parameters.get("backbone.2.weight"), parameters.get("backbone.0.weight")
    if "castle.first.weight" not in parameters:
        raise ValueError("the batch has no networks for the features: train with ck.fit, which makes castle's")
    last = parameters["castle.last.weight"]
    if shared is None or target is None or shared.shape[1] != last.shape[1]:
        raise ValueError(
            "castle shares the second layer of the backbone 'mlp', and this network has none of its shape: use "
            "backbone='mlp', with an encoder that masks features, 'parents' or 'none', say"
        )
    features, width = last.shape
    mask = last.new_ones(features) if batch.mask is None else batch.mask
    first = SCALE * parameters["castle.first.weight"].view(features, width, features + 1)
    others = mask * (1.0 - torch.eye(features, dtype=first.dtype, device=first.device))
    others = torch.cat([torch.ones_like(others[:, :1]), others], 1)
    kept = (mask != 0).to(last)
    return target * mask, first * (kept[:, None] * others)[:, None, :], kept
