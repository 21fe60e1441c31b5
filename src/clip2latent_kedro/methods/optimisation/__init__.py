"""Latents found by gradient descent on CLIP's own score, one search for each sample.

One loop (`loop`), whose start, coordinates, loss, views and bounds are settings
(`config`); the methods that it makes are in `method`.
"""
