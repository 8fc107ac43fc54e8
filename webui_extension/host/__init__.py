"""What differs between AUTOMATIC1111, Forge, Neo, reForge and no host at all."""
