"""The system underneath.

`machine`: devices, cores, memory and provenance. `files`: bundled files, the cache, files written whole or not at all.
`lock`: one training at a time. `streams`: stdin, stdout and stderr made safe. `choices`: the choices and defaults of
the command line and the Python interface. `lazy`: modules that are imported when they are first used.
"""
