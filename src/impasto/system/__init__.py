"""The system underneath: its devices and memory, its files and standard streams, modules imported late, words that several layers offer."""
