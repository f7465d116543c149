"""Full-duplex speech models: engines whose sessions hear and speak at once, one 80 ms frame at a time.

Knows frames and lanes; knows no network, no people and no asyncio. `contract` is the whole public face: an
`Engine` opens `Session`s, a session maps each heard frame to a `StepOutput`. Importing this package is cheap:
`torch` is loaded only by the modules that need it.
"""
