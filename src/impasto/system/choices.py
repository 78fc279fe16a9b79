"""What the command line and the Python interface both let one choose from; told here, for `impasto --help` imports nothing else."""

BACKENDS = ("openvino", "onnxruntime", "torch", "compile")
PRECISIONS = ("auto", "float32", "half")
STATISTICS = ("exact", "thumbnail")
AUGMENT_ENGINES = ("local", "ray")
