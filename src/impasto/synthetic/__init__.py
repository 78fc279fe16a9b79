"""Pictures made by code, each a pure function of a seed: content pictures to train on, and style pictures."""
