from clip2latent_kedro.study.variants import expand_grid, label_overrides


def test_a_grid_is_a_product_whose_last_setting_changes_fastest():
    grid = {"sampler": ["ddim", "ddpm"], "num_steps": [4, 1, 2]}
    points = expand_grid(grid)
    assert [label_overrides(point) for point in points] == [
        f"sampler {sampler}, num_steps {steps}"
        for sampler in ("ddim", "ddpm")
        for steps in (4, 1, 2)
    ]
    assert expand_grid({}) == [{}]
    assert expand_grid({"guidance_interval": [[0, 1], [0.5, 1]]})[1] == {
        "guidance_interval": [0.5, 1]
    }
