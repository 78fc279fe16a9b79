"""A painter paints: pictures, files, clips, and pictures larger than memory.

`stylizer` is the painter, `engine/` what does the arithmetic, `memory` whether a picture fits and `tiles` what is done
where it does not, `files` what is painted where and `records` what it was made from, `video/` clips and cameras,
`benchmark` how fast all this is here.
"""
