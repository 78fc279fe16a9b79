"""A camera painted on a stage: the newest frame in a window, and keys that change style and dials.

`show.py` says what a key does and `newest.py` reads frames and queues none; both know no window. `stage.py` brings them
together. OpenCV lives in `window.py` and nowhere else.
"""
