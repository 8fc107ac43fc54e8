"""What a step of training takes of the memory, said before it begins, and whether the batch goes in parts."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.model.checkpoint import EegEncoder

from .in_parts import blocks_of

MOST_BYTES = 4 << 30  # a step may take without a thought
MOST_SHARE = 0.5  # of what is free
PART_BYTES = 1 << 29  # that one part of a batch may take
SAID_FROM = 1 << 30
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Need:
    """Bytes: `fixed` for weights, gradients and the optimiser's two means; each row's share as a whole, in parts, and
    inside the largest block.
    """

    fixed: int
    a_row: int
    a_row_in_parts: int
    a_row_inside: int

    def whole(self, rows: int) -> int:
        """Return what a step on a batch takes."""
        return self.fixed + rows * self.a_row

    def in_parts(self, rows: int) -> int:
        """Return what a step takes that goes in parts."""
        return self.fixed + rows * self.a_row_in_parts + PART_BYTES


def need_of(encoder: EegEncoder, eeg: Tensor) -> Need:
    """Return what a step needs, from what two rows of normalised eeg (2, channels, times) leave behind for the way
    back; the encoder and the random numbers stay as they are.
    """
    blocks = blocks_of(encoder.backbone)
    kept: dict[int, Tensor] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    inside: dict[int, int] = dict.fromkeys(range(len(blocks)), 0)
    inputs, norms, largest = dict(inside), dict(inside), 0
    current: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        nonlocal largest
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in kept:
            kept[storage.data_ptr()] = tensor  # held, lest another takes its place
            largest = max(largest, storage.nbytes())
            for number in current:
                inside[number] += storage.nbytes()
        return tensor

    def enter(number: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            inputs[number] = given[0].numel() * given[0].element_size()
            current.append(number)

        return hook

    def norm(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        for number in current:
            norms[number] += given[0].numel() * given[0].element_size()

    hooks = [block.register_forward_pre_hook(enter(number)) for number, block in enumerate(blocks)]
    hooks += [block.register_forward_hook(lambda *_: void(current.pop())) for block in blocks]
    hooks += [part.register_forward_pre_hook(norm) for part in encoder.modules() if isinstance(part, _BatchNorm)]
    was_training, buffers = encoder.training, {name: value.clone() for name, value in encoder.named_buffers()}
    try:
        devices = [eeg.device] if eeg.is_cuda else []
        with torch.random.fork_rng(devices), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            outputs = encoder.train()(eeg)
    finally:
        for hook in hooks:
            hook.remove()
        encoder.train(was_training)
        with torch.no_grad():
            for name, value in encoder.named_buffers():
                value.copy_(buffers[name])
    rows = len(eeg)
    whole = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    whole += sum(output.numel() * output.element_size() for output in outputs.values()) + 3 * largest
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    fixed = sum(4 * value.numel() * value.element_size() for value in trained)
    outside = whole - sum(inside.values()) - 3 * largest
    in_block = max((norms[number] + 2 * inputs[number] for number in inside), default=0)
    most = max(inside.values(), default=0)
    parts = outside + sum(inputs.values()) + in_block + (largest if any(norms.values()) else 0)
    return Need(fixed, whole // rows, min(parts, whole) // rows, most // rows)


def void(_: object) -> None:
    """Return nothing: a forward hook that returns something changes what the module said."""


def rows_at_once(need: Need, rows: int, free: int) -> tuple[int, str]:
    """Return of how many rows the parts of a batch are, 0 for the whole batch at once, and what to say of it."""
    whole = need.whole(rows)
    said = f"a step on {rows} rows takes about {gigabytes(whole)} of memory, {gigabytes(free)} are free"
    if whole <= min(MOST_BYTES, MOST_SHARE * free) or not need.a_row_inside:
        if whole > free:
            return 0, f"{said}: take a smaller --batch, with --accumulate for as many rows a step"
        return 0, said if whole > SAID_FROM else ""
    part = max(1, min(rows, math.floor(PART_BYTES / need.a_row_inside)))
    less = need.in_parts(rows)
    said = f"{said}; it goes in parts of {part}, which takes about {gigabytes(less)} and more time for the same result"
    if less > free:
        said = f"{said}. That is more than is free: take a smaller --batch, with --accumulate for as many rows a step"
    return part, said


def free_bytes(device: torch.device) -> int:
    """Return how much memory is free on a device, less where a container is given less."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        most, used = ((CGROUP / name).read_text() for name in ("memory.max", "memory.current"))
        return min(free, max(0, int(most) - int(used)))
    except (OSError, ValueError):  # no container, or "max"
        return free


def gigabytes(n: int) -> str:
    """Return bytes as gigabytes, as people read them."""
    return f"{n / 1e9:.1f} GB"
