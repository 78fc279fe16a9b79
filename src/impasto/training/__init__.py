"""Training: the only home of Lightning, Hydra, OmegaConf and the loggers. `python -m impasto.training` starts it."""
