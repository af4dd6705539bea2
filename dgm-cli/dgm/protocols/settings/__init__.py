"""The settings of each schedule, apart from the schedules: nothing here imports torch."""
