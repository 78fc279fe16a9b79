"""A painter for any picture at once: its weights are predicted, not trained."""
