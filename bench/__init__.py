"""`python -m bench`: what a request through the service costs."""
