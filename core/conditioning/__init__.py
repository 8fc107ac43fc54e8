"""What an encoder's answer becomes for a diffusion model: conditioning, blends, init images, pictures."""
