"""The network of pytorch/examples, written anew."""

from __future__ import annotations

from torch import Tensor, nn


class Convolution(nn.Module):
    """Reflection padding and a convolution, after nearest upsampling if asked: the child is called conv2d there."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, upsampled: bool = False):
        super().__init__()
        self.pad, self.upsampled = nn.ReflectionPad2d(size // 2), upsampled
        self.conv2d = nn.Conv2d(inputs, outputs, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(self.pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3) if self.upsampled else x))


class Foreign(nn.Module):
    """The network of pytorch/examples with its layers' names, 0 to 255 in and about 0 to 255 out."""

    def __init__(self, width: int = 8, blocks: int = 2):
        super().__init__()
        sizes = {"1": (3, width, 9, 1), "2": (width, 2 * width, 3, 2), "3": (2 * width, 4 * width, 3, 2)}
        for name, (inputs, outputs, size, stride) in sizes.items():
            self.add_module(f"conv{name}", Convolution(inputs, outputs, size, stride))
            self.add_module(f"in{name}", nn.InstanceNorm2d(outputs, affine=True))
        self.blocks = blocks
        for block in range(1, blocks + 1):
            parts = {f"conv{i}": Convolution(4 * width, 4 * width, 3) for i in (1, 2)}
            norms = {f"in{i}": nn.InstanceNorm2d(4 * width, affine=True) for i in (1, 2)}
            self.add_module(f"res{block}", nn.ModuleDict({**parts, **norms}))
        self.deconv1, self.in4 = (
            Convolution(4 * width, 2 * width, 3, upsampled=True),
            nn.InstanceNorm2d(2 * width, affine=True),
        )
        self.deconv2, self.in5 = Convolution(2 * width, width, 3, upsampled=True), nn.InstanceNorm2d(width, affine=True)
        self.deconv3 = Convolution(width, 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        for stage in "123":
            x = self.get_submodule(f"in{stage}")(self.get_submodule(f"conv{stage}")(x)).relu()
        for block in range(1, self.blocks + 1):
            part = self.get_submodule(f"res{block}")
            x = x + part["in2"](part["conv2"](part["in1"](part["conv1"](x)).relu()))  # type: ignore[index]
        x = self.in4(self.deconv1(x)).relu()
        x = self.in5(self.deconv2(x)).relu()
        return self.deconv3(x)
