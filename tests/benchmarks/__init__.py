"""Tests of the benchmarks: of what they compute."""
