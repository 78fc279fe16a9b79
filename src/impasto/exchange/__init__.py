"""Painters from other projects: `pytorch_examples` makes style models of those of pytorch/examples."""
