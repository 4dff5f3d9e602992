"""What a person runs: the command line, training, rollout, evaluation."""
