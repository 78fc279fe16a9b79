"""Perceptual losses: pure functions, the VGG-19 features they compare, and the loss that trains and judges."""
