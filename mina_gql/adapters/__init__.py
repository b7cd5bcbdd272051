"""What is outside, each behind a port of `domain.ports`."""
