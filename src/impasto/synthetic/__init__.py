"""Pictures made by code."""
