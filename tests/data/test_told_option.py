"""A set that cannot be found is told with the option that names it, in full."""

import pytest

from roadanomaly.data import DATASETS
from roadanomaly.errors import DataError


def test_the_root_is_named_as_the_command_line_takes_it(tmp_path):
    spec = {"name": "camvid", "root": str(tmp_path / "none")}
    with pytest.raises(
        DataError, match=r"^`--train_data`: .*Name its folder by `--train_data.root`"
    ):
        DATASETS.from_spec(spec, given_by="--train_data")
    with pytest.raises(DataError, match="Name its folder by `root`"):
        DATASETS.from_spec(spec)
