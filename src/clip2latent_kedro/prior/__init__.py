"""The diffusion prior: p(w | CLIP embedding), its training and its checkpoints."""
