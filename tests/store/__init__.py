"""Tests of the storage backends: one contract suite for all of them, and what is special to each."""
