"""Where things lie: the repository, and beside it what not everybody has."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
REAL_VGG = SHARED / "vgg19" / "vgg19_oxford_conv1_1-conv3_4.safetensors"
