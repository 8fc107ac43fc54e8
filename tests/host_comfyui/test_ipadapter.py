"""Image vectors decoded from EEG through ComfyUI_IPAdapter_plus."""

import pytest
import torch
from safetensors.torch import save_file

from tests.host_comfyui.graphs import checkpoint, eeg_graph, encode, node, sample
from tests.host_comfyui.host import images, pixels, succeeded

pytestmark = pytest.mark.usefixtures("ipadapter", "checkpoints")


@pytest.fixture(scope="module")
def adapter(host) -> str:
    """A random IP-Adapter for SD 1.x of ViT-H vectors: four tokens, and the one attention layer of the small model."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * shape[-1] ** -0.5

    tensors = {
        "image_proj.proj.weight": random(4 * 768, 1024), "image_proj.proj.bias": torch.zeros(4 * 768),
        "image_proj.norm.weight": torch.ones(768), "image_proj.norm.bias": torch.zeros(768),
    }  # fmt: skip
    for layer in range(1, 33, 2):  # SD 1.x has sixteen
        for name in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{layer}.{name}.weight"] = random(320, 768)
    folder = host.base / "models" / "ipadapter"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "random-sd15.safetensors")
    return "random-sd15.safetensors"


def test_decoded_vectors_steer_an_ip_adapter(host, adapter):
    pictures = []
    for recording, weight in (("noise", 1.0), ("other", 1.0), ("noise", 0.0), ("other", 0.0)):
        graph = checkpoint(eeg_graph(f"{recording}.safetensors"), "sd1")
        encode(graph, model=["checkpoint", 0])
        graph["loader"] = node("IPAdapterModelLoader", ipadapter_file=adapter)
        graph["adapted"] = node(
            "IPAdapterEmbeds", model=["model", 0], ipadapter=["loader", 0], pos_embed=["encode", 3],
            neg_embed=["encode", 6], weight=weight, weight_type="linear", start_at=0.0, end_at=1.0,
            embeds_scaling="V only",
        )  # fmt: skip
        # The text part is the training mean, so that only the image vectors differ.
        [only] = images(succeeded(host.run(sample(graph, positive=("encode", 1), model=("adapted", 0)))))
        pictures.append(pixels(host, only))
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] != pictures[2]).any()
    assert (pictures[2] == pictures[3]).all()
