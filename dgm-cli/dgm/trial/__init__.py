"""A trial: the loop that saves itself, its folder, and the machine that it runs on."""
