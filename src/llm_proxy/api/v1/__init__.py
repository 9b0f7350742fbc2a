"""The surfaces for programs that are written for a vendor's API."""
