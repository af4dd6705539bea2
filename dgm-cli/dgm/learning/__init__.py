"""One update of one learner, and the optimisers."""
