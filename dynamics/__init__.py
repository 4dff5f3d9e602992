"""Particles at t to particles at t + 1: identity, graph, model, rollout."""
