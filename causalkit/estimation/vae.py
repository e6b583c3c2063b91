"""Conditional variational autoencoders, one a variable: the instructive baseline, whose abduction is a guess."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.estimation.encoding import Encoding, in_order, side_by_side
from causalkit.estimation.stacked import Network, Stack, train
from causalkit.mechanisms import Equation, Mechanism, Noise
from causalkit.seeds import Seed, generator, integer

__all__ = ["Autoencoder", "fit_vae"]

# of the decoder's own normal, in standard deviations of the variable
DECODER_SCALE = 0.1


@dataclass(frozen=True, eq=False)
class Autoencoder(Equation):
    """x_j := (d(x_pa, u_j) - centre) / spread by a decoder d; abduction asks an encoder e for u_j's posterior mean.

    **It breaks composition**: push(abduct(x)) is not x, since the encoder is a second network, which was trained to
    come near the decoder's inverse and is none. So a counterfactual of what was seen already, under do() of what was
    seen already, is another value; `ck.check_counterfactuals` catches it. Nothing makes d monotone in u_j either.

    Its density is that of the decoder's mean with the decoder's normal noise of scale 0.1 around it, by quadrature over
    u_j; samples are the decoder's means.

    Source: Pawlowski, Castro and Glocker (2020), Deep structural causal models, section 3.2 (amortised, explicit).

    Attributes:
        function: The decoder d, a network over the parents' columns and u [q + 1].
        encoder: e, a network over the parents' columns and the value [q + 1]: the posterior's mean and log-scale.
    """

    encoder: Network = field(kw_only=True)

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        return self.function(parents, u)[:, 0]

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        return self.encoder(parents, value)[:, 0]

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        heard, value = self.heard(parents), self.spread * x + self.centre
        # steps of a tenth of the noise's scale, out to where the normal's tail is 1e-9
        places = self.noise.location + self.noise.scale * torch.linspace(-6, 6, 121, dtype=x.dtype)
        weights = self.noise.log_prob(places) + math.log(0.1 * self.noise.scale)
        parts = []
        for some, rows in zip(value.split(500), heard.split(500), strict=True):  # 121 values a row at once
            means = self.make(rows.repeat_interleave(121, 0), places.repeat(len(rows))).reshape(-1, 121)
            z = (some[:, None] - means) / DECODER_SCALE
            parts.append((weights - 0.5 * z.square()).logsumexp(1))
        constant = math.log(DECODER_SCALE * math.sqrt(2 * math.pi))
        return torch.cat(parts) - constant + math.log(self.spread)


def fit_vae(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    names: Sequence[str],
    *,
    steps: int | None = None,
    hidden: Sequence[int] = (32, 32),
    seed: Seed,
) -> dict[str, Mechanism]:
    """The mechanisms of these real variables as conditional autoencoders, by the evidence lower bound (beta = 1).

    E_q(u | x, x_pa)[log N(x; d(x_pa, u), 0.1^2)] - KL(q || N(0, 1)) is maximised, q = N(e(x, x_pa), ...), one draw of u
    a row and step, x in standard deviations. A fifth of the rows is held out, 2,000 at most, as in `fit_flow`.

    Args:
        graph: A DAG over columns of the frame.
        frame: The data [n, columns]; integer columns are discrete, and may be parents alone.
        names: The variables to learn.
        steps: Steps of Adam, in batches of up to 1,024 rows; None: a sixth of the rows, from 500 to 3,000.
        hidden: Units in each hidden layer of a variable's encoder and decoder.
        seed: Of the networks' first weights, the draws of u, the batches and the rows held out.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> frame = scm.sample(500, seed=0)
        >>> learned = ck.SCM(fit_vae(scm.graph, frame, ["x", "y"], steps=300, seed=0))
        >>> again = learned.counterfactual(frame, {})
        >>> bool(1e-3 < (again - frame).abs().to_numpy().mean() < 1)
        True
    """
    names, base = list(names), integer(seed, "vae")
    steps = min(max(500, len(frame) // 6), 3000) if steps is None else steps
    parents = [in_order(frame, graph.predecessors(name)) for name in names]
    x, mask = side_by_side(frame, parents)
    values = torch.from_numpy(frame[names].to_numpy(np.float64, copy=True)).T
    centre, scale = values.mean(1, keepdim=True), values.std(1, correction=0, keepdim=True)
    y, draw = ((values - centre) / scale).float(), generator(base, "latent")

    def loss(rows: Tensor, encoder: Stack, decoder: Stack) -> Tensor:
        seen, value = x[rows].expand(len(names), -1, -1), y[:, rows]
        mean, log_sd = encoder(torch.cat([seen, value.unsqueeze(2)], 2)).unbind(2)
        u = mean + log_sd.exp() * torch.randn(mean.shape, generator=draw)
        z = (value - decoder(torch.cat([seen, u.unsqueeze(2)], 2))[..., 0]) / DECODER_SCALE
        return 0.5 * (z.square() + mean.square() + (2 * log_sd).exp() - 2 * log_sd - 1).mean(1)

    both = torch.cat([mask, torch.ones(len(names), 1)], 1)
    encoder = Stack.start(both, hidden, 2, names, last=0.5, seed=integer(base, "encoder"))
    decoder = Stack.start(both, hidden, 1, names, last=0.5, seed=integer(base, "decoder"))
    encoder, decoder = train([encoder, decoder], loss, len(frame), steps=steps, rate=2e-3, seed=base)
    learned: dict[str, Mechanism] = {}
    for j, name in enumerate(names):
        encoding = Encoding.fit(frame, parents[j])
        columns = encoding(torch.from_numpy(frame[parents[j]].to_numpy(np.float64, copy=True)))
        # no linear term; u may be any number
        none, far = torch.zeros(columns.shape[1] + 1).double(), torch.full((len(columns), 1), torch.inf).double()
        far[0] = -torch.inf
        one, two = (stack.cut(j, encoding, none, torch.cat([columns, far], 1)) for stack in (encoder, decoder))
        middle, unit = float(centre[j]), float(scale[j])
        learned[name] = Autoencoder(
            tuple(parents[j]), Noise(), two, centre=-middle / unit, spread=1 / unit, encoder=one
        )
    return learned
