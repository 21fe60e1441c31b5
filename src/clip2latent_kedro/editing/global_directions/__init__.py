"""StyleCLIP's global directions in the space S."""
