"""The methods that clip2latent is compared with, one package or file a paper."""
