"""The photographs that painters learn from: those of a folder, a COCO file or shards, cut into crops.

`sources` and `shards` say where they come from, `crops` what becomes of them. What Lightning takes of this is in
`training/data_module.py`.
"""
