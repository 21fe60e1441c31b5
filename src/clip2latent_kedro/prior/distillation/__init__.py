"""A student of a trained prior, which draws a latent in one step."""
