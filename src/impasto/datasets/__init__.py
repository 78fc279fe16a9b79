"""Data sets: COCO's annotations read with mistrust, and a data set painted by processes here or on a Ray cluster."""
