"""Run the phantom's world in ComfyUI's classes on random inputs; the tests compare it with diffusers.

cd $COMFYUI_DIR && $COMFYUI_PYTHON .../run_phantom_world.py OUT.safetensors '["a caption", ...]'
"""

import importlib
import json
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_parts():
    """The file under test in a package of its own, for the pack would bring the whole host along."""
    package = types.ModuleType("world")
    package.__path__ = [str(ROOT)]
    sys.modules["world"] = package
    return importlib.import_module("world.comfy_nodes.phantom.phantom_world").load_phantom_world()


def main() -> None:
    _, out, captions = sys.argv
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path[0] = str(Path.cwd())  # the checkout
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.sd
    import torch
    from safetensors.torch import save_file

    with torch.inference_mode():
        model, clip, vae = load_parts()
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


if __name__ == "__main__":
    main()
