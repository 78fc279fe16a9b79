"""Pictures and files: the one room that knows their formats.

A picture is an array (H, W, 3), sRGB: uint8, or float32 in [0, 1] where 16 bits or transparency need it. `tensors` is
the one door to the tensors (3, H, W), float32 in [0, 1], of losses and training, `convert` the one to what users of
Python hold. EXIF turning, colour profiles, transparency, bit depths and rounding live here and nowhere else, and so
does the mistrust of files from strangers.
"""
