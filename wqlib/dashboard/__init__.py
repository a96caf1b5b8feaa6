"""The live view of a run in a notebook: every lease of every pod, as it happens.

One thread owns the view. It reads the events, folds them into a history, draws a frame and
sets it as the value of an `ipywidgets.Image`; this goes on while later cells run, prints
nothing, and blocks no cell. A button changes no picture: it asks for something to be done
to the cluster, and the picture follows from what then happens. `Replay` shows a recorded run
in the same picture, `Mosaic` the tiles of a picture in the colours of the pods that made them,
`Explorable` how long a run would take, and what if.

Example:
    >>> from wqlib.queue import WorkQueue  # doctest: +SKIP
    >>> Dashboard(WorkQueue("job2"))  # doctest: +SKIP
    >>> Replay("killed")
    <Replay of killed>
"""

from __future__ import annotations

from .explorable import Explorable
from .mosaic import Mosaic
from .replay import Replay
from .view import Dashboard

__all__ = ["Dashboard", "Explorable", "Mosaic", "Replay"]
