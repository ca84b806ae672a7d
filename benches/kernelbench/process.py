"""What Linux says about a kernel process: CPU, wake-ups, memory, threads."""

import os

import psutil


class Process:
    """The figures of one process, read from /proc; `pid` is set once it runs."""

    pid: int

    def cpu(self):
        """CPU seconds used so far by all live threads of the kernel process."""
        total = 0
        try:
            for t in os.listdir(f"/proc/{self.pid}/task"):
                try:
                    with open(f"/proc/{self.pid}/task/{t}/schedstat") as f:
                        total += int(f.read().split()[0])
                except OSError:
                    pass
        except OSError:
            return float("nan")
        return total / 1e9

    def wakeups(self):
        n = 0
        for t in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{t}/status") as f:
                    n += sum(int(x.split()[1]) for x in f if "ctxt_switches" in x)
            except OSError:
                pass
        return n

    def memory(self):
        rss = pss = 0
        p = psutil.Process(self.pid)
        for q in [p, *p.children(recursive=True)]:
            try:
                m = q.memory_full_info()
            except psutil.Error:
                continue
            rss += m.rss
            pss += m.pss
        return rss / 2**20, pss / 2**20

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def peak_reset(self):
        try:
            with open(f"/proc/{self.pid}/clear_refs", "w") as f:
                f.write("5")
            return True
        except OSError:
            return False

    def peak(self):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(x.split()[1]) / 1024 for x in f if x.startswith("VmHWM"))
