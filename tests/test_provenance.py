from clip2latent_kedro.provenance import list_differences


def test_each_setting_that_differs_is_named_with_both_values():
    stored = {"seed": 0, "train": {"lr": 0.1, "bs": 8}, "gone": 1}
    asked = {"seed": 0, "train": {"lr": 0.2, "bs": 8}, "new": [1]}
    assert list_differences(stored, asked) == [
        "gone (stored 1, asked None)",
        "new (stored None, asked [1])",
        "train.lr (stored 0.1, asked 0.2)",
    ]


def test_free_settings_and_all_below_them_may_differ():
    stored = {"versions": {"torch": "1", "zarr": "2"}, "train": {"save_it": 1}}
    asked = {"versions": {"torch": "3"}, "train": {"save_it": 2}}
    assert list_differences(stored, asked, free={"versions", "train.save_it"}) == []
    assert list_differences({"seeds": 1}, {"seeds": 2}, free={"seed"})


def test_equal_settings_have_no_difference():
    assert list_differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}) == []
