"""Models: captioners, writers, image and video models."""
