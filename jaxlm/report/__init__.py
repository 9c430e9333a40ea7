"""What a run left behind, for a person."""
