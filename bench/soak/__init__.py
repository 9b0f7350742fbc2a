"""`python -m bench soak`: a long mixed run with faults and hang-ups."""
