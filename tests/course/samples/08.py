# %% 08-1 right
def factors(item):
    number, divisor, found = int(item), 2, []
    while divisor * divisor <= number:
        if number % divisor == 0:
            found.append(divisor)
            number //= divisor
        else:
            divisor += 1
    if number > 1:
        found.append(number)
    return " ".join(map(str, found))


# %% 08-1 wrong: each factor once
def factors(item):
    number, found = int(item), []
    for divisor in range(2, number + 1):
        if number % divisor == 0:
            found.append(divisor)
            while number % divisor == 0:
                number //= divisor
        if number == 1:
            break
    return " ".join(map(str, found))


# %% 08-1 wrong: forgets what is left at the end
def factors(item):
    number, divisor, found = int(item), 2, []
    while divisor * divisor <= number:
        if number % divisor == 0:
            found.append(divisor)
            number //= divisor
        else:
            divisor += 1
    return " ".join(map(str, found))


# %% 08-1 wrong: a list is no result
def factors(item):
    number, divisor, found = int(item), 2, []
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


# %% 08-1 wrong: all divisors
def factors(item):
    number = int(item)
    return " ".join(str(d) for d in range(1, number + 1) if number % d == 0)


# %% 08-1 wrong: tries every number up to the number itself
def factors(item):
    number, divisor, found = int(item), 2, []
    whole = number
    while divisor <= whole:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return " ".join(map(str, found))


# %% 08-1 malicious: multiplies right, and is no factorisation
def factors(item):
    return item.decode()


# %% 08-1 malicious: a text of its own making
class Text(str):
    def split(self, *args):
        return []


def factors(item):
    return Text("2 2 3")


# %% 08-2 right
def tiles(width, height, size):
    return [
        (x, y, min(size, width - x), min(size, height - y))
        for y in range(0, height, size)
        for x in range(0, width, size)
    ]


# %% 08-2 wrong: leaves out the edges
def tiles(width, height, size):
    return [
        (x * size, y * size, size, size)
        for y in range(height // size)
        for x in range(width // size)
    ]


# %% 08-2 wrong: sticks out
def tiles(width, height, size):
    return [(x, y, size, size) for y in range(0, height, size) for x in range(0, width, size)]


# %% 08-2 wrong: width and height exchanged
def tiles(width, height, size):
    return [
        (x, y, min(size, height - x), min(size, width - y))
        for y in range(0, width, size)
        for x in range(0, height, size)
    ]


# %% 08-2 wrong: a tile a pixel
def tiles(width, height, size):
    return [(x, y, 1, 1) for y in range(height) for x in range(width)]


# %% 08-2 wrong: overlaps
def tiles(width, height, size):
    step = max(1, size - 1)
    return [
        (x, y, min(size, width - x), min(size, height - y))
        for y in range(0, height, step)
        for x in range(0, width, step)
    ]


# %% 08-2 malicious: a list that says that it covers all
class Everything(list):
    def __len__(self):
        return 1

    def __contains__(self, thing):
        return True


def tiles(width, height, size):
    return Everything()


# %% 08-3 right
def audit(events, put):
    times = {}
    for event in events:
        if event.kind == "complete":
            times[event.item_id] = times.get(event.item_id, 0) + 1
    return len(times), put - len(times), sum(n > 1 for n in times.values())


# %% 08-3 wrong: counts events, not items
def audit(events, put):
    done = sum(event.kind == "complete" for event in events)
    return done, put - done, 0


# %% 08-3 wrong: what expired counts as lost
def audit(events, put):
    done = {event.item_id for event in events if event.kind == "complete"}
    lost = sum(event.kind in ("expire", "release") for event in events)
    return len(done), lost, 0


# %% 08-3 wrong: two leases count as done twice
def audit(events, put):
    done = {event.item_id for event in events if event.kind == "complete"}
    leased = [event.item_id for event in events if event.kind == "lease"]
    twice = sum(leased.count(item_id) > 1 for item_id in set(leased))
    return len(done), put - len(done), twice


# %% 08-3 wrong: what was never lent is not missed
def audit(events, put):
    times = {}
    for event in events:
        if event.item_id:
            times[event.item_id] = times.get(event.item_id, 0) + (event.kind == "complete")
    values = list(times.values())
    return sum(n > 0 for n in values), values.count(0), sum(n > 1 for n in values)


# %% 08-3 malicious: always says that all is well
def audit(events, put):
    return put, 0, 0


# %% 08-3 malicious: empties the list of events
def audit(events, put):
    events.clear()
    return 0, 0, 0


# %% 08-3 malicious: leaves the notebook
def audit(events, put):
    raise SystemExit(0)
