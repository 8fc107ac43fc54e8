"""What the notes in the example workflows say, in Markdown."""

RECORDING = "my-recording.edf"
IMAGE_ENCODER = "my-clip-h-encoder.safetensors"
SD15 = "v1-5-pruned-emaonly-fp16.safetensors"

SIMULATED = "**Simulated: this is not brain data.** The phantom is a head model that looks at drawn scenes."
OWN_FILES = f"""**Files**
- a recording of the headset the encoder was made for: press *upload EEG file(s)*
- `models/checkpoints/{SD15}`, or any other SD 1.x, SDXL, SD 3 or Flux checkpoint"""
N170 = """The encoder that comes with the pack, `n170-subject1`, tells whether one person with a Muse headset saw a \
face or a house. It does not work for anyone else: make your own with *train-in-the-graph*."""
IMAGE_VECTORS = """No such encoder comes with the pack: `trainer/train.py --space clip-h.image` makes one from \
recordings of pictures that were looked at. This workflow shows how its vectors are connected."""

NOTES = {
    "eeg-to-image": f"""# EEG to image
A recording takes the place of the prompt: each window is decoded into conditioning, and a picture is drawn \
for each. Here all repeats of an event's label are averaged first, for a single response drowns in noise.

{N170}

{OWN_FILES}""",
    "eeg-and-text": f"""# EEG and text
What the recording says is blended with a prompt. With *amount x confidence* the EEG counts as far as the \
decoder is sure of it, and a window that it only guesses at is left to the text. An amount of 0 is the text \
alone, bit for bit.

{N170}

{OWN_FILES}""",
    "phantom-round-trip": f"""# Phantom round trip
Scenes are shown to a simulated brain, its EEG is decoded, and the decoded conditioning draws the scenes anew, \
beside the truth. Lower *snr* to see where it fails; at 0 nothing of the scenes is in the signal.

{SIMULATED}

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
    "saliency-to-image": f"""# Saliency to image
The two levels of NeuroImagen (Lan et al. 2023). *EEG Encode* says what was seen, and nothing of where: its encoder \
learnt captions such as "a red star". *EEG Saliency* says where and in which colours, as a rough picture. *VAE Encode* \
makes it the sampler's start, and *denoise* says how much is redrawn: lower keeps the picture, 1 forgets it.

For your own: an encoder trained with `--space sd1.text saliency`, any checkpoint, and *width* and *height* of its \
pictures.

{SIMULATED}

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
    "ip-adapter": f"""# IP-Adapter
Image vectors decoded from EEG steer an IP-Adapter, as a reference picture would; the prompt keeps its say.

Needs an encoder with a `clip-h.image` head. {IMAGE_VECTORS}

**Files**
- the pack ComfyUI_IPAdapter_plus
- `models/ipadapter/ip-adapter_sd15.safetensors`
- `models/checkpoints/{SD15}`
- `models/eeg_encoders/{IMAGE_ENCODER}`: your own
- a recording: press *upload EEG file(s)*""",
    "unclip": f"""# unCLIP
Image vectors decoded from EEG take the place of the picture in Stable Diffusion 2.1 unCLIP. The same output \
steers plain SDXL base through the same node, with a `clip-g.image` head.

Needs an encoder with a `clip-h.image` head. {IMAGE_VECTORS}

**Files**
- `models/checkpoints/sd21-unclip-h.ckpt`
- `models/eeg_encoders/{IMAGE_ENCODER}`: your own
- a recording: press *upload EEG file(s)*""",
    "band-power-denoise": f"""# Band power drives denoise
A window slides over the recording, and the strength of its alpha rhythm (8 to 13 Hz, at the back of the head) \
becomes the sampler's *denoise*: where alpha is weak the first picture stays, where it is strong it turns into \
the prompt's. *values* is a list, so the sampler runs once for each window. It drives any other number the \
same way.

{SIMULATED} Put EEG Load Recording in its place to use your own.

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
    "train-in-the-graph": f"""# Train in the graph
An encoder is fitted to a labelled recording in seconds, scored on stretches of it that were left out, saved, \
and used at once on a second recording of the same person. The report says whether the score is better than \
chance.

For your own: put EEG Load Recording in the place of both phantoms, write a caption for each of your labels \
into the trainer (`1 = a photograph of a house`), and load any checkpoint.

{SIMULATED}

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
}
