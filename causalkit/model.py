"""The Deep Learning Backbone and the Output Layer: small networks behind a structure encoder, and what `fit` returns.

Networks work on standardised inputs and, in a regression, predict the standardised target; `Model` does the
conversion in float64 on both sides, so that its users see their own units only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from causalkit.encoder import MaskedLinear, StructureEncoder, masked_mlp, reach
from causalkit.environments import Environment, Task
from causalkit.errors import check_frame, unknown
from causalkit.seeds import Seed, generator

__all__ = ["BACKBONES", "Model", "Network", "TrainingData", "check_environments", "dense", "linear", "mlp", "read"]


def dense(inputs: int, outputs: int) -> torch.nn.Linear:
    """A linear layer that is not initialised yet: `Network` does it from its own seed, not the global one.

    Example:
        >>> dense(3, 2)
        Linear(in_features=3, out_features=2, bias=True)
    """
    return torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs)  # type: ignore[no-any-return]


def linear(inputs: int) -> torch.nn.Module:
    """No hidden layer: the head sees the inputs themselves.

    Example:
        >>> linear(2)
        Identity()
    """
    return torch.nn.Identity()


def mlp(inputs: int, hidden: int = 16) -> torch.nn.Module:
    """Two hidden layers of `hidden` rectified units each.

    Example:
        >>> mlp(2)(torch.zeros(5, 2)).shape
        torch.Size([5, 16])
    """
    relu = torch.nn.ReLU
    return torch.nn.Sequential(dense(inputs, hidden), relu(), dense(hidden, hidden), relu())


BACKBONES: dict[str, Callable[[int], torch.nn.Module]] = {"linear": linear, "mlp": mlp}
"""Backbones: name -> function(inputs) -> module from [n, inputs] to [n, width], made of `dense` layers."""


def initialise(module: torch.nn.Module, draw: torch.Generator) -> None:
    """Draws the weights and biases of all dense layers, uniform in +-1/sqrt(inputs of the layer).

    Inputs that a layer masks do not count.

    Example:
        >>> layer = dense(4, 1)
        >>> initialise(layer, torch.Generator().manual_seed(0))
        >>> bool(layer.weight.abs().max() <= 0.5)
        True
    """
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear):
            bound = layer.in_features**-0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound, generator=draw)
            torch.nn.init.uniform_(layer.bias, -bound, bound, generator=draw)
        if isinstance(layer, MaskedLinear):
            wider = (layer.in_features / layer.mask.count_nonzero(1).clamp(min=1)).sqrt()
            layer.weight.data *= wider[:, None]
            layer.bias.data *= wider


class Network(torch.nn.Module):
    """Encoder, backbone and head, in this order.

    Args:
        mask: What the encoder lets through [features], or who may hear whom in the layers of an "mlp"
            [features + 1, features], see `ck.encoder.dag_layers`.
        classes: Number of classes, or None for a regression.
        backbone: A name in BACKBONES.
        seed: Of the backbone's initial weights, uniform in +-1/sqrt(inputs of the layer). The head starts at 0, where
            every prediction is the mean: so "linear" starts the same whatever the seed. Masked inputs of a layer do
            not count.

    Raises:
        ValueError: An unknown backbone; masked layers for another backbone than "mlp".

    Example:
        >>> predictions, hidden = Network(torch.ones(2), None, "mlp", seed=0)(torch.zeros(5, 2))
        >>> predictions.shape, hidden.shape
        (torch.Size([5]), torch.Size([5, 16]))
    """

    def __init__(self, mask: torch.Tensor, classes: int | None, backbone: str, *, seed: Seed) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise unknown("backbone", backbone, BACKBONES)
        layered = mask.ndim == 2
        if layered and backbone != "mlp":
            raise ValueError(
                f"backbone {backbone!r} has no hidden layers for the encoder to mask: use backbone='mlp', or an "
                "encoder that masks features, such as 'parents'"
            )
        self.classes = classes
        self.encoder = StructureEncoder(reach(mask) if layered else mask)
        self.backbone = masked_mlp(mask) if layered else BACKBONES[backbone](mask.shape[-1])
        width = self.backbone(torch.zeros(1, mask.shape[-1])).shape[-1]
        self.head = dense(width, 1 if classes is None else classes)
        initialise(self.backbone, generator(seed, "init"))
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From inputs [n, features]: predictions [n] or logits [n, classes], and the last hidden layer [n, width]."""
        features = self.backbone(self.encoder(inputs))
        outputs = self.head(features)
        return (outputs[..., 0] if self.classes is None else outputs), features


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training rows as tensors, environments one after the other.

    Attributes:
        inputs: Standardised features [n, features].
        targets: Standardised targets [n], or class numbers from 0.
        location, scale: What was subtracted and divided by, one number a feature (and the target of a regression).
        classes: The labels in increasing order [classes]; None in a regression.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    location: pd.Series
    scale: pd.Series
    classes: np.ndarray | None

    def tensors(self, frame: pd.DataFrame, task: Task) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs [n, features] and targets [n] of further rows, standardised as these were.

        Raises:
            ValueError: A column is missing or not finite; a label that training has not.
        """
        features = list(task.features)
        values = check_frame(frame, [*features, task.target])
        numbers = (values[features].astype(np.float64) - self.location[features]) / self.scale[features]
        inputs = torch.tensor(numbers.to_numpy()).to(self.inputs)
        target = values[task.target].to_numpy()
        if self.classes is None:
            moved = (target.astype(np.float64) - self.location[task.target]) / self.scale[task.target]
            return inputs, torch.tensor(moved).to(self.targets)
        new = np.setdiff1d(target, self.classes)
        if len(new):
            raise ValueError(
                f"{task.target!r} has the label {new[0]}, which the training rows have not: they have "
                f"{', '.join(map(str, self.classes))}"
            )
        return inputs, torch.tensor(np.searchsorted(self.classes, target))


class Diverged(ValueError):
    """Training left the finite numbers; the message names the objective, the replicate and the step."""


def check_environments(environments: Sequence[Environment], task: Task) -> None:
    """The door of everything that takes environments.

    Raises:
        ValueError: Not a list of environments; two of one name; a column of the task that is missing.

    Example:
        >>> check_environments([], Task(("x",), "y"))
        Traceback (most recent call last):
            ...
        ValueError: expected a list of at least one Environment, got []
    """
    if not isinstance(task, Task):
        raise ValueError(f"expected a Task, got {type(task).__name__}: write ck.Task(features=('x',), target='y')")
    if isinstance(environments, Environment):
        raise ValueError(
            f"expected a list of environments, got {environments!r} alone: put it into a list, [environment]"
        )
    if not isinstance(environments, list | tuple) or not environments:
        raise ValueError(f"expected a list of at least one Environment, got {environments!r}")
    seen: set[str] = set()
    for environment in environments:
        if not isinstance(environment, Environment):
            raise ValueError(
                f"expected an Environment, got {type(environment).__name__}: write ck.Environment('a', frame)"
            )
        if environment.name in seen:
            raise ValueError(f"two environments are called {environment.name!r}: give each a name of its own")
        seen.add(environment.name)
        try:
            check_frame(environment.frame, [*task.features, task.target])
        except ValueError as error:
            raise ValueError(f"environment {environment.name!r}: {error}") from error


def read(train: Sequence[Environment], task: Task, standardise: bool, dtype: torch.dtype) -> TrainingData:
    """Pools the environments' rows, and standardises them (in float64) unless told not to.

    Raises:
        ValueError: A classification's target has one label only, or labels that are not integers.

    Example:
        >>> train = [Environment("a", pd.DataFrame({"x": [1.0, 3.0], "y": [5, 7]}))]
        >>> read(train, Task(("x",), "y", "classification"), True, torch.float32).targets
        tensor([0, 1])
    """
    features, regression = list(task.features), task.kind == "regression"
    frame = pd.concat([environment.frame[[*features, task.target]] for environment in train], ignore_index=True)
    numbers = (frame if regression else frame[features]).astype(np.float64)
    location, scale = numbers.mean(), numbers.std(ddof=0)
    if not standardise:
        location, scale = 0.0 * location, 0.0 * scale + 1.0
    scale = scale.where(scale > 0.0, 1.0)  # a constant column stays one
    numbers = (numbers - location) / scale
    inputs = torch.tensor(numbers[features].to_numpy(), dtype=dtype)
    if regression:
        return TrainingData(inputs, torch.tensor(numbers[task.target].to_numpy(), dtype=dtype), location, scale, None)
    labels = frame[task.target].to_numpy()
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"target {task.target!r} has one label only, {classes[0]}: a classification needs at least 2 classes"
        )
    if (classes != np.round(classes)).any():
        raise ValueError(
            f"target {task.target!r} is not made of integer codes: code its classes, or set kind='regression'"
        )
    return TrainingData(inputs, torch.tensor(np.searchsorted(classes, labels)), location, scale, classes)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, in the units of the data.

    Attributes:
        task: What it predicts from what.
        network: On standardised inputs, see `Network`.
        location, scale, classes: As in `TrainingData`.
        objective: The name of what was minimised.
        history: The course of training: step, objective, risk (mean over environments), gradient (norm), and the
            risk of each environment, about 100 rows. A regression's risk is in units of the target's variance over
            the training data, so that 1 is the risk of the mean.
        report: Whether training came to its end: gradient, left, settled, steps, verdict; see
            `ck.training.report`.
        diverged: What left the finite numbers, and when; empty if nothing did.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0}, scale=0.1)}).sample(200, seed=0)
        >>> model = ck.fit([ck.Environment("a", frame)], ck.Task(("x",), "y"), backbone="linear", seed=0)
        >>> model.predict(pd.DataFrame({"x": [1.0, 10.0]})).round()
        array([ 2., 20.])
    """

    task: Task
    network: Network
    location: pd.Series
    scale: pd.Series
    classes: np.ndarray | None
    objective: str
    history: pd.DataFrame
    report: pd.Series = field(default_factory=lambda: pd.Series(dtype=object))
    diverged: str = ""

    def __repr__(self) -> str:
        return f"Model({self.task.target} from {', '.join(self.task.features)}; {self.objective})"

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The predicted mean, or the most probable label, of each row [n].

        Raises:
            ValueError: A feature's column is missing, not numeric or not finite.
            Diverged: Training did.
        """
        if self.classes is not None:
            return self.classes[self.predict_proba(frame).argmax(1)]
        outputs = self._outputs(frame) * self.scale[self.task.target] + self.location[self.task.target]
        return outputs.numpy()

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """The probability of each class [n, classes], in the order of `classes`.

        Raises:
            ValueError: The task is a regression, or what `predict` raises.
        """
        if self.classes is None:
            raise ValueError(
                f"predict_proba needs classes, and {self.task.target!r} is a regression's target: use predict"
            )
        return torch.softmax(self._outputs(frame), -1).numpy()

    def _outputs(self, frame: pd.DataFrame) -> torch.Tensor:
        """The network's outputs for a frame, as float64."""
        if self.diverged:
            raise Diverged(f"{self.diverged}: this model has no predictions, leave it out")
        features = list(self.task.features)
        values = (check_frame(frame, features) - self.location[features]) / self.scale[features]
        inputs = torch.tensor(values.to_numpy(np.float64), dtype=self.network.head.weight.dtype)
        with torch.no_grad():
            return self.network(inputs)[0].double()
