"""Frames to particles and back: prior, encoder, decoder, losses, model."""
