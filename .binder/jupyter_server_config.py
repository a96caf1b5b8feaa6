"""Settings of JupyterLab's server: what its terminals are. See wqlib/course/terminal.py."""

from wqlib.course.terminal import shell_command

get_config().ServerApp.terminado_settings = {"shell_command": shell_command()}  # noqa: F821
