"""Run the phantom's world in ComfyUI's classes on random inputs; the tests compare it with diffusers.

    cd $COMFYUI_DIR && $COMFYUI_PYTHON .../run_phantom_world.py OUT.safetensors '["a caption", ...]'
"""

import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_, out, captions = sys.argv
sys.argv = [sys.argv[0], "--cpu"]
sys.path[0] = str(Path.cwd())  # the checkout

import comfy.options

comfy.options.enable_args_parsing()
import comfy.sd  # the host's own order of imports
import torch
from safetensors.torch import save_file

# Only the two files under test, as a package of their own: the nodes would bring the whole host along.
package = importlib.util.module_from_spec(importlib.util.spec_from_loader("world", None, is_package=True))
package.__path__ = [str(ROOT / "comfy_nodes")]
sys.modules["world"] = package
from world.phantom_world import load_phantom_world

with torch.inference_mode():
    model, clip, vae = load_phantom_world()
    torch.manual_seed(0)
    context = torch.cat([clip.encode_from_tokens(clip.tokenize(caption)) for caption in json.loads(captions)])
    noisy, latents = torch.randn(len(context), 4, 8, 8), 2 * torch.randn(2, 4, 8, 8)
    timestep = torch.linspace(3, 990, len(context)).round()
    pictures = vae.decode(latents)
    found = {
        "context": context,
        "noisy": noisy,
        "timestep": timestep,
        "denoised": model.model.diffusion_model(noisy, timestep, context=context),
        "latents": latents,
        "pictures": pictures.movedim(-1, 1),
        "encoded": vae.encode(pictures),
        "sigmas": model.model.model_sampling.sigmas,
    }
save_file({name: tensor.float().contiguous() for name, tensor in found.items()}, out)
