"""One package per pipeline: `nodes.py` and the wiring in `pipeline.py`."""
