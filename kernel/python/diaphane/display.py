"""What IPython displays becomes messages on iopub."""

import threading

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher

from . import parents
from .jsonable import dumps


class Hooks(threading.local):
    """Functions that see a message before it is sent, and may keep it; a list for each thread."""

    def __init__(self):
        self.functions = []

    def pass_on(self, message):
        """The message after all functions, or None when one kept it."""
        for function in self.functions:
            message = function(message)
            if message is None:
                return None
        return message


class Publishing:
    """The half that display publisher and display hook have in common. `kernel` is set by the shell."""

    kernel = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._hooks_of_thread = Hooks()

    @property
    def _hooks(self):
        return self._hooks_of_thread.functions

    def register_hook(self, hook):
        """Lets `hook(message)` see and change each message; it returns the message, or None to keep it."""
        self._hooks.append(hook)

    def unregister_hook(self, hook):
        """Whether the hook was there."""
        if hook not in self._hooks:
            return False
        self._hooks.remove(hook)
        return True

    @property
    def parent_header(self):
        return self.kernel.get_parent().get("header", {})

    def set_parent(self, parent):
        """Pins all output of the calling thread or task, not this object's alone."""
        parents.pin(self.kernel.native, parent)

    def _send(self, msg_type, content):
        if self._hooks:
            message = self._hooks_of_thread.pass_on(self.kernel.session.msg(msg_type, content, self.parent_header))
            if message is None:
                return
            msg_type, content = message["header"]["msg_type"], message["content"]
        self.kernel.native.publish(msg_type, dumps(content))


class ZMQDisplayPublisher(Publishing, DisplayPublisher):
    """`display()` and `clear_output()`."""

    def publish(self, data, metadata=None, *, transient=None, update=False, **_options):
        self._validate_data(data, metadata)
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        self._send("update_display_data" if update else "display_data", content)

    def clear_output(self, wait=False):
        self._send("clear_output", {"wait": wait})


class ZMQShellDisplayHook(Publishing, DisplayHook):
    """The value of a cell's last expression. All cells share this object, so what it remembers of one is the cell's."""

    @property
    def exec_result(self):
        return self.shell.cell.exec_result

    @exec_result.setter
    def exec_result(self, result):
        self.shell.cell.exec_result = result

    def flush(self):
        super().flush()
        # IPython keeps the last values among the names that it hides, too, and would hold them there for good.
        hidden = self.shell.user_ns_hidden
        hidden.update({name: "" for name in ("_", "__", "___") if name in hidden})

    def start_displayhook(self):
        self.shell.cell.value = {"data": {}, "metadata": {}}

    def write_output_prompt(self):
        self.shell.cell.value["execution_count"] = self.prompt_count

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.cell.value |= {"data": format_dict, "metadata": md_dict or {}}

    def finish_displayhook(self):
        cell = self.shell.cell
        content, cell.value = cell.value, None
        # The same line gives a value to a child that the cell has forked, which has no prompt for it.
        if content and content["data"] and not self.kernel.native.is_child():
            self._send("execute_result", content)
