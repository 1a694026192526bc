"""The stdio relay: `turn.py` has the turns of the event loop, and the links that they read and flush.

`room.py` bounds the large messages of the whole process, `background.py` owns what goes on beside a call.
"""
