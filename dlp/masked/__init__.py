"""Scenes that are not made of objects, such as faces: particles are landmarks."""
