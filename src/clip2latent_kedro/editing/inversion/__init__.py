"""From a real picture to the latents that draw it: w, w+ or S.

A start (`starts`), from which a projector (`projector`) goes on by gradient descent on
a distance of pictures (`distance`); both together are `invert.invert_pictures`. A
trained encoder is one of the starts (`inverter`). What others have found is read by
`latent_files`.
"""
