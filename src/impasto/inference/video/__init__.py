"""Clips, cameras and raw frames through a painter.

Three generators stand one behind the other, the first two in threads of their own, a few frames apart: memory stays as
it is for however long a clip. Rotation, colour ranges and matrices, timestamps and sound live here and nowhere else.
"""
