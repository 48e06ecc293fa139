"""Training: runners, hooks and schedules on top of MMEngine's."""
