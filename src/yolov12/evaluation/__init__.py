"""Scoring a network on a data set, and the pictures that go with the numbers."""
