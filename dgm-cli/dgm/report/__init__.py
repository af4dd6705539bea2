"""From tables to numbers, verdicts, figures and pages."""
