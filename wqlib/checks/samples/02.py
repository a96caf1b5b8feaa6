# %% 02-1 right
queue.put(["fig", "fig"])
first, second = queue.lease(), queue.lease()
queue.complete(first)
# %% 02-1 wrong: completed both
queue.put(["fig", "fig"])
first, second = queue.lease(), queue.lease()
queue.complete(first)
queue.complete(second)
# %% 02-1 wrong: leased one only
queue.put(["fig", "fig"])
first = queue.lease()
queue.complete(first)
# %% 02-1 wrong: put one fig
queue.put("fig")
first = queue.lease()


# %% 02-1 malicious: a queue that says what is wanted
class Liar:
    def stats(self):
        return type("Stats", (), {"leased": 1, "done": 1})()


queue = Liar()
