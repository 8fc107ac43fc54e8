"""The phantom's diffusion world in ComfyUI's own model objects."""
