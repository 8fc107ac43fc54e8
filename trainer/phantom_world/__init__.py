"""Training the phantom's tiny diffusion world: tokenizer and text encoder, autoencoder, U-Net and judge."""
