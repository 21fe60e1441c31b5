"""StyleCLIP's latent mapper."""
