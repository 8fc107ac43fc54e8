"""Graphs as the API takes them, built in steps; every function returns the graph it was given."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from core.conditioning.for_host import Answer, answer
from core.loading.load import load_recording
from core.model.checkpoint import load_encoder
from core.preprocessing.selection import select_events
from tests.host_comfyui.host import Host


def node(class_type: str, **inputs) -> dict:
    return {"class_type": class_type, "inputs": inputs}


def eeg_graph(recording: str = "noise.safetensors", encoder: str = "sd1.safetensors", **choice) -> dict:
    """Load a recording and an encoder, choose windows (the first event by default)."""
    chosen = {"choose": "events", "choose.label": "", "choose.index": "0", "choose.average": "no", **choice}
    return {
        "recording": node("SDEEG_LoadRecording", file=recording),
        "encoder": node("SDEEG_LoadEncoder", encoder=encoder),
        "windows": node("SDEEG_SelectWindows", recording=["recording", 0], choose=chosen.pop("choose"), **chosen,
                        from_s=0.0, to_s=1.0),
    }  # fmt: skip


def encode(graph: dict, *, windows: int = 0, **inputs) -> dict:
    """Add EEG Encode; `windows` is which output of the selection it takes: 0 together, 2 one by one."""
    common = {"strength": 1.0, "spread": 1.0, "family": "auto", "prompts": ""}
    graph["encode"] = node("SDEEG_Encode", encoder=["encoder", 0], windows=["windows", windows], **common | inputs)
    return graph


def checkpoint(graph: dict, name: str, probe: str | None = None) -> dict:
    """Add a checkpoint; with `probe`, what its model is given at the first step is written under that name."""
    graph["checkpoint"] = node("CheckpointLoaderSimple", ckpt_name=f"{name}.safetensors")
    graph["model"] = node("ProbeSampler", model=["checkpoint", 0], name=probe or "sampler")
    return graph


def sample(graph: dict, positive=("encode", 0), negative=("encode", 1), *, batch: int | list = 1, model=("model", 0),
           vae=("checkpoint", 2), **more) -> dict:  # fmt: skip
    """Add latent, sampler, decoder and preview: 64 x 64, two steps."""
    channels = "EmptySD3LatentImage" if more.pop("wide", False) else "EmptyLatentImage"
    settings = {"seed": 1, "steps": 2, "cfg": 2.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    graph["latent"] = node(channels, width=64, height=64, batch_size=batch)
    graph["sampler"] = node(
        "KSampler", model=list(model), positive=list(positive), negative=list(negative), latent_image=["latent", 0],
        **settings | more,
    )  # fmt: skip
    graph["pixels"] = node("VAEDecode", samples=["sampler", 0], vae=list(vae))
    graph["image"] = node("PreviewImage", images=["pixels", 0])
    return graph


def save(graph: dict, name: str, source: tuple[str, int]) -> dict:
    """Write a value of the graph into the output folder."""
    graph[f"save {name}"] = node("ProbeSave", value=list(source), name=name)
    return graph


def saved(host: Host, name: str) -> dict[str, torch.Tensor]:
    """What a probe has written under a name."""
    return load_file(host.base / "output" / f"{name}.safetensors")


def at_sampler(host: Host, name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What the sampler gave the model: tensors of the positive rows, and of the negative ones."""
    found = saved(host, name)
    order = found.pop("cond_or_uncond").tolist()
    parts = {key: tensor.chunk(len(order)) for key, tensor in found.items()}
    return tuple({key: chunks[order.index(which)] for key, chunks in parts.items()} for which in (0, 1))  # type: ignore


def computed(host: Host, encoder: str, places: str = "0", recording: str = "noise.safetensors", **settings) -> Answer:
    """What core says about the same file with the same encoder, in this process."""
    loaded = load_encoder(Path(host.base) / "models" / "eeg_encoders" / encoder)
    chosen = select_events(load_recording(Path(host.base) / "input" / recording), "", places)
    return answer(loaded, chosen, **settings)
