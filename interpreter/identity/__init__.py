"""Which interpreter spoke: its key, its passport, the signed and chained records of its renderings, their check.

docs/identity.md says what they prove and what they do not.
"""
