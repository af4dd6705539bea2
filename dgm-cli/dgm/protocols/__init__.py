"""A paper's schedule of learning."""
