"""What the masked model is measured against: other landmark detectors that learn without labels."""
