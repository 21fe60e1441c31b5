"""`python -m clip2latent_kedro.demo`: the same as `kedro demo`."""

from clip2latent_kedro.demo.command import demo

if __name__ == "__main__":
    demo(prog_name="python -m clip2latent_kedro.demo")
