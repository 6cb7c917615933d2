# %% [markdown]
# # A first result
#
# The package carries a trained detector. Here it looks at a drawn street, so that this runs without
# any photograph; a path to your own works in place of `street`.

# %%
from PIL import Image

import roadanomaly as ra
from roadanomaly.data.streets import Streets
from roadanomaly.report.pictures import heat, overlay, rgb, row

frame = Streets(split="test", count=9, height=384, width=768)[8]
street = rgb(frame)

# %% [markdown]
# `ra.load()` takes the package's default; `ra.load("runs/mine")` one that you trained.

# %%
model = ra.load()
result = model(street)
print(result.score.shape, result.score.dtype)

# %% [markdown]
# What does not belong, the highest mean score first. A box is left, top, width and height in
# pixels.

# %%
for component in result.components:
    print(component.box, f"{component.area} pixels")

# %% [markdown]
# The street, the score of every pixel (bright is strange), and what exceeds the threshold.

# %%
found = overlay(street, result.mask, result.components)
Image.fromarray(row([street, heat(result.score), found])).reduce(2)

# %% [markdown]
# Too many boxes, or too few? The model carries three thresholds by name.

# %%
for name in ("low", "normal", "high"):
    model.calibration = model.calibration.at_sensitivity(name)
    print(name, len(model(street).components))
