"""HTTP: routes, admission, bodies, errors, the edge."""
