"""Replicates side by side: their parameters as one matrix, their rows as tensors with a leading replicate axis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from causalkit.model import Network
from causalkit.objectives import Batch, Companion, Objective
from causalkit.seeds import Seed, generator

__all__ = ["Rows", "Stacked", "looks", "stream"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Training rows, environments one after the other.

    Attributes:
        tensors: "inputs" [replicates, n, features], "targets" [replicates, n], perhaps "weights" [replicates, n], and
            what stands beside them: "twin/inputs" and "twin/targets" of a companion, "name/numbers" of a series. With
            `shared`, all replicates see the same rows, and there is no leading axis.
        sizes: Rows of each environment.
        shared: See above.
    """

    tensors: Mapping[str, torch.Tensor]
    sizes: list[int]
    shared: bool = False

    def replicate(self, r: int) -> dict[str, torch.Tensor]:
        """The rows of one replicate."""
        return {key: value if self.shared else value[r] for key, value in self.tensors.items()}

    def to(self, device: str) -> Rows:
        """The same rows on a device."""
        return Rows({key: value.to(device) for key, value in self.tensors.items()}, self.sizes, self.shared)


def stream(rows: Rows, batch: int | None, seeds: Sequence[Seed]) -> Iterator[Rows]:
    """Endlessly, the rows of the next step: all, or `batch` from each environment, drawn with replacement."""
    while batch is None:
        yield rows
    draws = [generator(seed, "batches") for seed in seeds]
    starts = [sum(rows.sizes[:e]) for e in range(len(rows.sizes))]
    device = rows.tensors["inputs"].device
    replicate = torch.arange(len(draws), device=device)[:, None]
    while True:
        picks = [
            torch.cat([s + torch.randint(n, (batch,), generator=draw) for s, n in zip(starts, rows.sizes, strict=True)])
            for draw in draws
        ]
        picked = torch.stack(picks).to(device)
        tensors = {
            key: value[picked] if rows.shared else value[replicate, picked] for key, value in rows.tensors.items()
        }
        yield Rows(tensors, [batch] * len(rows.sizes))


class Stacked:
    """The networks of all replicates, and those that their objective brings along, as one matrix of parameters.

    Args:
        networks: One a replicate, alike in shape.
        modules: The objective's own networks by name, a dict a replicate.
        loss: The task's.
        names: Of the environments.
        device: Where the matrix lives.

    Attributes:
        flat: [replicates, parameters].
        head: Which parameters are the output layer's [parameters].
    """

    def __init__(
        self,
        networks: Sequence[Network],
        modules: Sequence[Mapping[str, torch.nn.Module]],
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        names: list[str],
        device: str = "cpu",
    ) -> None:
        whole = [torch.nn.ModuleDict({"network": n, **m}) for n, m in zip(networks, modules, strict=True)]
        parameters, buffers = torch.func.stack_module_state(whole)  # type: ignore[arg-type]
        self.networks, self.whole, self.loss, self.names = networks, whole, loss, names
        self.shapes = {key: value.shape[1:] for key, value in parameters.items()}
        self.flat = torch.cat([value.detach().flatten(1) for value in parameters.values()], 1).to(device)
        self.buffers = {key: value.to(device) for key, value in buffers.items()}
        heads = [torch.full((s.numel(),), key.startswith("network.head.")) for key, s in self.shapes.items()]
        self.head = torch.cat(heads).to(device)

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """One replicate's parameters by name, views of its row [parameters]."""
        pieces = flat.split([shape.numel() for shape in self.shapes.values()])
        return {key: piece.view(shape) for (key, shape), piece in zip(self.shapes.items(), pieces, strict=True)}

    def flatten(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The row [parameters] of one replicate."""
        return torch.cat([parameters[key].flatten() for key in self.shapes])

    def buffer(self, r: int) -> dict[str, torch.Tensor]:
        """One replicate's buffers by name."""
        return {key: value[r] for key, value in self.buffers.items()}

    def batch(
        self, flat: torch.Tensor, buffers: Mapping[str, torch.Tensor], rows: Mapping[str, torch.Tensor],
        sizes: list[int],
    ) -> Batch:  # fmt: skip
        """What an objective sees of one replicate at the parameters `flat` [parameters]."""
        parameters = self.unflatten(flat)

        def call(name: str, *inputs: torch.Tensor) -> torch.Tensor:
            mine = {k[len(name) + 1 :]: v for k, v in (parameters | dict(buffers)).items() if k.startswith(name + ".")}
            return torch.func.functional_call(self.whole[0][name], mine, inputs)  # type: ignore[no-any-return]

        predictions, features = call("network", rows["inputs"])
        return Batch(
            losses=self.loss(predictions, rows["targets"]).split(sizes),
            predictions=predictions.split(sizes),
            targets=rows["targets"].split(sizes),
            features=features.split(sizes),
            inputs=rows["inputs"].split(sizes),
            loss=self.loss,
            weights=rows["weights"].split(sizes) if "weights" in rows else (),
            companions=_companions(rows, sizes),
            predict=functools.partial(call, "network"),  # type: ignore[arg-type]
            gradients=lambda: torch.func.jacrev(lambda at: self.batch(at, buffers, rows, sizes).risks)(flat),
            parameters={key.removeprefix("network."): value for key, value in parameters.items()},
            modules={name: functools.partial(call, name) for name in self.whole[0] if name != "network"},
            mask=buffers["network.encoder.mask"],
        )

    def risks(self, rows: Rows) -> torch.Tensor:
        """The risks of rows that may differ from the training's [replicates, environments]."""

        def look(
            flat: torch.Tensor, buffers: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            return self.batch(flat, buffers, tensors, rows.sizes).risks

        with torch.no_grad():
            return torch.func.vmap(look, in_dims=(0, 0, None if rows.shared else 0))(
                self.flat, self.buffers, dict(rows.tensors)
            )

    def give_back(self) -> None:
        """Writes each row into its network."""
        with torch.no_grad():
            for flat, whole in zip(self.flat.detach().cpu(), self.whole, strict=True):
                mine = self.unflatten(flat)
                for name, parameter in whole.named_parameters():
                    parameter.copy_(mine[name])


def looks(
    stacked: Stacked, objective: Objective, flat: torch.Tensor, rows: Rows, state: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Objective [replicates], risks [replicates, environments], a rule's terms [replicates, terms], next state."""

    def value(
        flat: torch.Tensor, buffers: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor],
        state: dict[str, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
        batch = stacked.batch(flat, buffers, tensors, rows.sizes)
        state = objective.update(batch, state)
        terms = flat.new_empty(0) if objective.rule is None else objective.rule.terms(batch, state)
        return objective(batch, state), batch.risks.detach(), terms, state

    mapped = torch.func.vmap(value, in_dims=(0, 0, None if rows.shared else 0, 0))
    return mapped(flat, stacked.buffers, dict(rows.tensors), state)  # type: ignore[no-any-return]


def _companions(
    rows: Mapping[str, torch.Tensor], sizes: list[int]
) -> dict[str, tuple[Companion, ...] | tuple[torch.Tensor, ...]]:
    found: dict[str, tuple[Companion, ...] | tuple[torch.Tensor, ...]] = {}
    for key, value in rows.items():
        name, _, part = key.rpartition("/")
        if part == "numbers":
            found[name] = value.split(sizes)
        elif part == "inputs" and name:
            pairs = zip(value.split(sizes), rows[f"{name}/targets"].split(sizes), strict=True)
            found[name] = tuple(Companion(*pair) for pair in pairs)
    return found
