"""What is stored and shown: one module for each kind of document, with its bytes and its JSON.

Imports `core` and the contract of `persistence`.
"""
