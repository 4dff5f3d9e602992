"""Files to tensors: videos, frame folders, arrays, synthetic worlds."""
