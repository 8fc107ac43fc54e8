"""What heads are trained towards: text states, image vectors, latents, saliency pictures, captions."""
