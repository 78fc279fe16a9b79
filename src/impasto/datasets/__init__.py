"""Data sets painted: `augment` paints a COCO data set; `coco` reads it, `plan` decides, `workers` and `ray` run the
jobs.
"""
