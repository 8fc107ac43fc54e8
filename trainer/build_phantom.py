"""Build the phantom's tiny diffusion world into assets/phantom, in diffusers' own folder format.

    python trainer/build_phantom.py                       # everything, about 40 minutes on two CPU cores
    python trainer/build_phantom.py --work runs/phantom   # finished parts are kept there and not trained again
    python trainer/build_phantom.py --only image-encoder  # that part alone, into a world that is there; ten minutes

Seeds are fixed. The measured quality of each part is written to assets/phantom/phantom.json.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

import torch
from safetensors.torch import load_file, save_file

from core.files import write_atomically
from core.phantom.perception import ENCODER_VECTORS
from core.phantom.scenes import split_scenes
from trainer.phantom_world.autoencoder import encode_pictures, train_autoencoder
from trainer.phantom_world.denoiser import new_scheduler, train_denoiser
from trainer.phantom_world.image_encoder import scene_vectors, train_image_encoder
from trainer.phantom_world.judging import train_judge
from trainer.phantom_world.pictures import draw_many
from trainer.phantom_world.text import encode_captions, new_tokenizer, train_text_encoder

IMAGE_ENCODER = "clip"  # the folder's name


def main() -> None:
    """Train what is missing in the work folder, then assemble the world."""
    parser = argparse.ArgumentParser(description="Build the phantom's tiny diffusion world.")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "phantom", help="where the world is written")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "phantom-build", help="finished parts are kept here"
    )
    parser.add_argument("--vae-steps", type=int, default=2000)
    parser.add_argument("--text-steps", type=int, default=400)
    parser.add_argument("--unet-steps", type=int, default=2500)
    parser.add_argument("--judge-steps", type=int, default=500)
    parser.add_argument("--image-steps", type=int, default=1500)
    parser.add_argument("--only", choices=["image-encoder"], help="build one part into the world that is there")
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    figures = json.loads((work / "figures.json").read_text()) if (work / "figures.json").is_file() else {}

    def finish(part: str, model: Any, **found: object) -> None:
        """Keep a trained part and its figures, so that a later call goes on from here."""
        model.save_pretrained(work / part) if hasattr(model, "save_pretrained") else save_file(
            model.state_dict(), work / part
        )
        figures.update(found)
        with write_atomically(work / "figures.json") as beside:
            beside.write_text(json.dumps(figures, indent=2))
        print(f"{part}: {found}", flush=True)

    tokenizer = new_tokenizer(work / "tokenizer")
    if not (work / IMAGE_ENCODER).exists():
        encoder, top1 = train_image_encoder(tokenizer, options.image_steps)
        finish(IMAGE_ENCODER, encoder, image_encoder_200way_top1=top1)
    if options.only:
        add_image_encoder(work, options.out, tokenizer)
        about = json.loads((options.out / "phantom.json").read_text())
        write_about(options.out, {**about, "image_encoder_200way_top1": figures["image_encoder_200way_top1"]})
        return
    if not (work / "judge").exists():
        judge, accuracy = train_judge(options.judge_steps)
        finish("judge", judge, judge_accuracy_on_drawings=accuracy)
    if not (work / "vae").exists():
        vae, psnr = train_autoencoder(options.vae_steps)
        finish("vae", vae, vae_psnr_db=psnr)
    if not (work / "text_encoder").exists():
        text, top1 = train_text_encoder(tokenizer, options.text_steps)
        finish("text_encoder", text, text_200way_top1=top1)
    if not (work / "unet").exists():
        unet = train_denoiser(*latents_and_states(work, tokenizer), steps=options.unet_steps)
        finish("unet", unet)
    assemble(work, options.out, tokenizer, figures)


def latents_and_states(work: Path, tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return scaled latents of the drawn training scenes, each one's caption index, the captions' states and the empty
    state.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from transformers import CLIPTextModel

    vae = AutoencoderKL.from_pretrained(work / "vae").eval()
    text = CLIPTextModel.from_pretrained(work / "text_encoder").eval()
    scenes = split_scenes()["train"]
    pictures, index = draw_many(scenes, variants=16, seed=7)
    latents = encode_pictures(vae, pictures) * vae.config["scaling_factor"]
    states = encode_captions(text, tokenizer, [scene.caption for scene in scenes])
    return latents, index, states, encode_captions(text, tokenizer, [""])


def assemble(work: Path, out: Path, tokenizer: Any, figures: dict) -> None:
    """Write the world in half precision beside `out`, then put it in its place."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from transformers import CLIPTextModel

    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(work / "text_encoder"),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel.from_pretrained(work / "unet"),
        scheduler=new_scheduler(),
        safety_checker=None,  # type: ignore[arg-type]  # diffusers allows None
        feature_extractor=None,  # type: ignore[arg-type]  # diffusers allows None
        requires_safety_checker=False,
    )
    beside = out.with_name(out.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(beside)
    for config in beside.glob("*/config.json"):
        values = json.loads(config.read_text())
        values.pop("_name_or_path", None)  # where it was built says nothing to others
        config.write_text(json.dumps(values, indent=2) + "\n")
    judge = load_file(work / "judge")
    save_file({name: tensor.half() for name, tensor in judge.items()}, beside / "judge.safetensors")
    add_image_encoder(work, beside, tokenizer)
    write_about(beside, {"name": "phantom", "simulated": True, **figures})
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {size / 1e6:.1f} MB", flush=True)


def add_image_encoder(work: Path, world: Path, tokenizer: Any) -> None:
    """Write the image encoder in half precision into a world, and how it sees every scene beside it."""
    from transformers import CLIPModel

    beside, folder = world / f"{IMAGE_ENCODER}.part", world / IMAGE_ENCODER
    shutil.rmtree(beside, ignore_errors=True)
    CLIPModel.from_pretrained(work / IMAGE_ENCODER).half().save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    vectors = scene_vectors(beside)
    save_file({"vectors": vectors.half()}, world / ENCODER_VECTORS)
    shutil.rmtree(folder, ignore_errors=True)
    for file in beside.iterdir():
        file.chmod(0o644)  # whoever installed the pack, others may read it
    beside.rename(folder)


def write_about(world: Path, figures: dict) -> None:
    """Write what the world is and how good its parts are."""
    with write_atomically(world / "phantom.json") as beside:
        beside.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
