"""A painter paints: pictures, files, clips, and pictures larger than memory.

`stylizer` is the painter, `convert` what it takes and returns, `engine/` what does the arithmetic, `tiles` what it does where memory is
short, `video/` clips and cameras, `benchmark` how fast all this is here.
"""
