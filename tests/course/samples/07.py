# %% 07-1 right
def times_as_fast(serial_share, pods):
    return 1 / (serial_share + (1 - serial_share) / pods)


# %% 07-1 wrong: all is divided
def times_as_fast(serial_share, pods):
    return pods


# %% 07-1 wrong: the two parts exchanged
def times_as_fast(serial_share, pods):
    return 1 / ((1 - serial_share) + serial_share / pods)


# %% 07-1 wrong: the time, not how many times as fast
def times_as_fast(serial_share, pods):
    return serial_share + (1 - serial_share) / pods


# %% 07-1 wrong: prints it
def times_as_fast(serial_share, pods):
    result = 1 / (serial_share + (1 - serial_share) / pods)


# %% 07-1 wrong: one argument only
def times_as_fast(serial_share):
    return 1 / serial_share


# %% 07-1 malicious: a number that equals all
class Any(float):
    def __eq__(self, other):
        return True

    def __rsub__(self, other):
        return 0.0


def times_as_fast(serial_share, pods):
    return Any(1)


# %% 07-1 malicious: leaves the notebook
def times_as_fast(serial_share, pods):
    raise SystemExit


# %% 07-2 right
def makespan(items, pods):
    free_at = [0] * pods
    for seconds in items:
        free_at.sort()
        free_at[0] += seconds
    return max(free_at)


# %% 07-2 right: with a heap
import heapq


def makespan(items, pods):
    heap = [0.0] * pods
    for seconds in items:
        heapq.heappush(heap, heapq.heappop(heap) + seconds)
    return max(heap)


# %% 07-2 wrong: as if items could be divided
def makespan(items, pods):
    return sum(items) / pods


# %% 07-2 wrong: dealt out like cards
def makespan(items, pods):
    return max(sum(items[i::pods]) for i in range(pods))


# %% 07-2 wrong: the longest first
def makespan(items, pods):
    free_at = [0] * pods
    for seconds in sorted(items, reverse=True):
        free_at[free_at.index(min(free_at))] += seconds
    return max(free_at)


# %% 07-2 wrong: the longest item or an even share
def makespan(items, pods):
    return max(max(items), sum(items) / pods)


# %% 07-2 wrong: when the last item ends
def makespan(items, pods):
    free_at = [0] * pods
    end = 0
    for seconds in items:
        free_at.sort()
        free_at[0] += seconds
        end = free_at[0]
    return end


# %% 07-2 malicious: knows the example by heart
def makespan(items, pods):
    return {9: 10, 1: 5, 0: 0}.get(len(items), 8)


# %% 07-2 malicious: never ends
def makespan(items, pods):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


# %% 07-3 right
import math


def batch_for(item_seconds, round_trip_seconds):
    return min(500, max(1, math.ceil(round_trip_seconds / (0.1 * item_seconds))))


# %% 07-3 wrong: always the largest
def batch_for(item_seconds, round_trip_seconds):
    return 500


# %% 07-3 wrong: always one
def batch_for(item_seconds, round_trip_seconds):
    return 1


# %% 07-3 wrong: not a whole number
def batch_for(item_seconds, round_trip_seconds):
    return 10 * round_trip_seconds / item_seconds


# %% 07-3 wrong: no least and no most
import math


def batch_for(item_seconds, round_trip_seconds):
    return math.ceil(10 * round_trip_seconds / item_seconds)


# %% 07-3 wrong: rounded down
def batch_for(item_seconds, round_trip_seconds):
    return min(500, max(1, int(10 * round_trip_seconds / item_seconds)))


# %% 07-3 malicious: a number between all numbers
class Between(int):
    def __ge__(self, other):
        return True

    __le__ = __gt__ = __lt__ = __ge__


def batch_for(item_seconds, round_trip_seconds):
    return Between(3)
