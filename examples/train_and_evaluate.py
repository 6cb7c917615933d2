# %% [markdown]
# # Train and evaluate
#
# The commands `roadanomaly train` and `roadanomaly evaluate`, on drawn streets and for a few steps,
# so that it is over in a minute. `roadanomaly demo` does the same at a size that is worth its
# picture.

# %%
import json
from pathlib import Path

from roadanomaly.cli.main import main


def roadanomaly(*words: str) -> None:
    """Run a command; a mistake in it stops here."""
    assert main(words) == 0, "the message above says why"


# %% [markdown]
# A run is a config with overrides. This one goes on from the package's own detector (`start:
# default`) and teaches it streets with strange objects; whatever the config says can be changed on
# the command line.

# %%
small = ["--steps", "4", "--batch_size", "2", "--crop", "[96, 192]", "--workers", "0"]
frames = ["--train_data.count", "4", "--val_data.count", "2"]
roadanomaly("train", "configs/streets_demo.yaml", "--out", "runs/example", *small, *frames)

# %% [markdown]
# The run folder holds the resolved config, the record of how it came about, the losses and the
# model.

# %%
print(sorted(path.name for path in Path("runs/example").iterdir()))
record = json.loads(Path("runs/example/record.json").read_text())
print(record["seed"], record["train_data"], record["negatives"], sep="\n")

# %% [markdown]
# The benchmark's numbers on frames that training did not show, of this run and of the detector as
# it came. Four steps teach little.

# %%
test = ["--on", "streets", "--data.split", "test", "--data.count", "3"]
out = ["--out", "runs/example_scores", "--detectors", "energy"]
roadanomaly("evaluate", "runs/example", "--model", "default", *test, *out)
