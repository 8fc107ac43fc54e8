"""One linear layer over time for each person, in front of an encoder: what differs between people's responses."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import torch
from torch import Tensor, nn

from ..encoders.config_bounds import MAX_WEIGHTS

MAX_PEOPLE = 100_000


class PersonLayers(nn.Module):
    """Map eeg (batch, channels, n_times) to the same through the layer of whose window it is.

    After ENIGMA's published code (2026), where such a layer stands on the raw signal: n_times to n_times with bias, the
    same for every channel, in the beginning the identity, from which it is stored as a difference. A window of someone
    unknown goes through the mean of the people's layers.
    """

    def __init__(self, n_people: int, n_times: int) -> None:
        super().__init__()
        if not 1 <= n_people <= MAX_PEOPLE or n_people * n_times * n_times > MAX_WEIGHTS:
            raise ValueError(
                f"layers for {n_people} people of {n_times} x {n_times} samples each are {n_people * n_times**2:,} "
                f"weights; at least 1 person and at most {MAX_WEIGHTS:,} weights: take a lower rate or a shorter window"
            )
        self.change = nn.Parameter(torch.zeros(n_people, n_times, n_times))
        self.bias = nn.Parameter(torch.zeros(n_people, n_times))

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return eeg through its people's layers; subject (batch,): whose windows, -1 or None for someone unknown."""
        if subject is None:
            return eeg + eeg @ self.change.mean(0).mT + self.bias.mean(0)
        if len(subject) and int(subject.max()) >= len(self.change):
            raise ValueError(
                f"subject {int(subject.max())} is beyond the {len(self.change)} people that this encoder knows"
            )
        found = torch.empty_like(eeg)
        for number in subject.unique().tolist():
            rows = subject == number
            change, bias = (
                (self.change.mean(0), self.bias.mean(0)) if number < 0 else (self.change[number], self.bias[number])
            )
            found[rows] = (eeg[rows] + eeg[rows] @ change.mT + bias).to(found.dtype)
        return found

    @torch.no_grad()
    def of_people(self, places: list[int]) -> "PersonLayers":
        """Return layers for other people: those at `places` of this one's, or for -1 a copy of the mean."""
        made = PersonLayers(len(places), self.change.shape[-1]).to(self.change.device)
        for row, place in enumerate(places):
            made.change[row] = self.change.mean(0) if place < 0 else self.change[place]
            made.bias[row] = self.bias.mean(0) if place < 0 else self.bias[place]
        return made
