"""The choices and defaults that the command line and the Python interface share.

A default that only one of them has stands where it is used. This file imports nothing: `impasto --help` reads it.
"""

from __future__ import annotations

DEFAULT_SEED = 0
DEFAULT_DEVICE = "auto"  # the fastest of this machine; a choice is any name of a torch device

# Painting: `Stylizer`, `load`, `impasto stylize`, `impasto benchmark`.
BACKENDS = ("openvino", "onnxruntime", "torch", "compile")
DEFAULT_BACKEND = "auto"  # the fastest that is installed
PRECISIONS = ("auto", "float32", "half")
DEFAULT_PRECISION = "auto"  # half where the processor is made for it
STATISTICS = ("exact", "thumbnail")
DEFAULT_STATISTICS = "exact"
MAX_PIXELS = 120_000_000  # of a picture or a frame
LIVE_SIZE = 640  # longer side of live frames, in pixels: what two cores paint as fast as it comes
COLORS = ("style", "photo", "match")  # the painting's own, the photograph's, or a palette moved to the photograph's
DEFAULT_COLOR = "style"
MAX_STRENGTH = 1.5  # 0 is the photograph, 1 the painting; above 1 its difference to the photograph grows
STROKE_RANGE = (0.5, 2.0)  # smallest and largest size of the strokes against the picture
DEFAULT_STABILIZE = 0.94  # share of a clip's frame that is held from the frames before, where it is asked for
BENCHMARK_SIZES = ((512, 512), (1280, 720), (1920, 1080))  # width, height
BENCHMARK_RUNS = 5  # timed pictures, of which the median counts

# Training: `impasto train --quality NAME`, in minutes.
QUALITIES = {"draft": 0.5, "good": 2.0, "best": 20.0}

# Optimising: `optimize_image`, `compare`, `impasto optimize`, `impasto compare`.
OPTIMIZERS = ("lbfgs", "adam")
DEFAULT_OPTIMIZER = "lbfgs"
OPTIMIZE_INITS = ("content", "noise")  # or an image
DEFAULT_INIT = "content"
OPTIMIZE_STEPS = 500
OPTIMIZE_SCALES = 1
COMPARE_STEPS = 500
COMPARE_SIZE = 256  # side of the squares compared

# Data sets: `augment`, `write_shards`, `make_style` and their commands.
AUGMENT_ENGINES = ("local", "ray")
DEFAULT_ENGINE = "local"
AUGMENT_PER_IMAGE = 1  # paintings of each image
AUGMENT_STRENGTH = (1.0, 1.0)  # lowest and highest share of the painting
SHARD_COUNT = 8
SHARD_SIZE = 672  # shorter side of a packed photograph, in pixels: 1.6 times a crop, which training scales at random
STYLE_SIZE = 512  # longer side of a style picture as painters learn it, in pixels; larger: broader strokes
SAMPLE_STYLE_SIZE = 768  # side of a style picture made by code, in pixels
