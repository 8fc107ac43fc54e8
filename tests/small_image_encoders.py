"""Small random models of the classes that image encoders are loaded as; never presented as models."""

import json

import torch
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

WIDTH, SIDE = 24, 32
BLOCKS = {"hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}


def small_dino(folder):
    torch.manual_seed(0)
    ViTModel(ViTConfig(**BLOCKS, intermediate_size=32), add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


def small_dinov2(folder):
    torch.manual_seed(1)
    Dinov2Model(Dinov2Config(**BLOCKS, mlp_ratio=2)).save_pretrained(folder)
    return str(folder)


def small_open_clip(folder, vision):
    """A CLIP in the folder format that open_clip writes for the hub."""
    import open_clip

    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": SIDE, **vision},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    torch.manual_seed(2)
    model = open_clip.CLIP(**config)
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model.visual.eval()


class InternBlock(torch.nn.Module):
    """A block of InternViT written out from its description: RMS norms, normed queries and keys, scaled residuals."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.attn = torch.nn.ModuleDict(
            {
                "qkv": torch.nn.Linear(width, 3 * width, bias=False),
                "proj": torch.nn.Linear(width, width),
                "q_norm": torch.nn.RMSNorm(width, eps=1e-6),
                "k_norm": torch.nn.RMSNorm(width, eps=1e-6),
            }
        )
        self.norm1, self.norm2 = torch.nn.RMSNorm(width, eps=1e-6), torch.nn.RMSNorm(width, eps=1e-6)
        self.mlp = torch.nn.ModuleDict({"fc1": torch.nn.Linear(width, hidden), "fc2": torch.nn.Linear(hidden, width)})
        self.ls1, self.ls2 = (torch.nn.Parameter(0.1 + torch.rand(width)) for _ in range(2))

    def forward(self, x):
        q, k, v = self.attn["qkv"](self.norm1(x)).chunk(3, dim=-1)
        q, k = self.attn["q_norm"](q), self.attn["k_norm"](k)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        mixed = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1) @ v
        x = x + self.ls1 * self.attn["proj"](mixed.transpose(1, 2).flatten(2))
        hidden = torch.nn.functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.ls2 * self.mlp["fc2"](hidden)


class InternViT(torch.nn.Module):
    """InternViT with its tensors named as on the hub."""

    def __init__(self, width=WIDTH, heads=2, hidden=32, blocks=3, patch=8):
        super().__init__()
        self.embeddings = torch.nn.Module()
        self.embeddings.class_embedding = torch.nn.Parameter(torch.randn(1, 1, width))
        self.embeddings.position_embedding = torch.nn.Parameter(torch.randn(1, (SIDE // patch) ** 2 + 1, width))
        self.embeddings.patch_embedding = torch.nn.Conv2d(3, width, patch, stride=patch)
        self.encoder = torch.nn.Module()
        self.encoder.layers = torch.nn.ModuleList(InternBlock(width, heads, hidden) for _ in range(blocks))

    def forward(self, pixels):
        patches = self.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.embeddings.class_embedding.expand(len(pixels), -1, -1), patches], dim=1)
        x = x + self.embeddings.position_embedding
        found = []
        for block in self.encoder.layers:
            x = block(x)
            found.append(x)
        return found


def small_internvit(folder):
    """An InternViT in the folder format of the hub, in two files."""
    torch.manual_seed(3)
    model = InternViT().eval()
    folder.mkdir(exist_ok=True)
    told = {**BLOCKS, "model_type": "intern_vit_6b", "intermediate_size": 32, "hidden_act": "gelu", "qkv_bias": False,
            "qk_normalization": True, "norm_type": "rms_norm", "layer_norm_eps": 1e-6}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "modeling_intern_vit.py").write_text("raise SystemExit('code of the hub was run')\n")
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    names = sorted(tensors)
    for number, part in enumerate((names[:10], names[10:]), 1):
        save_file({name: tensors[name] for name in part}, folder / f"model-{number:05d}-of-00002.safetensors")
    return model
