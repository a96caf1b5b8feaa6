--[[
  The ground that every script stands on: it is put in front of each of them.

  The items that wait lie in a plain Redis list, so that RPUSH fills the queue and LRANGE
  shows it. An item that is lent leaves the list and lies in `leased` until its lease ends.
  One that comes back goes to the head of the list; `requeued` remembers, by the digest of
  its bytes, which number and attempt it had. Equal items are alike, so it does no harm if
  an equal newcomer gets that number instead.

  Each script writes first with a command that Redis refuses when memory is short, so that
  it then fails before it has changed anything.

  KEYS[1]   list      items that wait; the queue's own name
  KEYS[2]   zset      lease id -> deadline, ms since the epoch
  KEYS[3]   hash      lease id -> item
  KEYS[4]   zset      "<sha1 of item>:<item id>-<attempt>", all with score 0
  KEYS[5]   hash      item id -> JSON {failed, attempt, history} of items that came back
  KEYS[6]   hash      item id -> item that was given up
  KEYS[7]   hash      counters
  KEYS[8]   hash      item id -> result
  KEYS[9]   stream    events, see wqlib/events.py
  KEYS[10]  list      one element once the queue has drained; waiting workers block on it
  KEYS[11]  string    the last call of this client and what it answered, for an hour
  ARGV[1]   number of this call: 1, 2, 3 ... for each client
]]

local list, leases, leased, requeued, tries = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, counts, results, events, drained, last_call =
  KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]

local EVENTS_KEPT = 100000
local HISTORY_KEPT = 20
local PREVIEW_BYTES = 64
local CALL_KEPT_SECONDS = 3600

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local pending = redis.call('LLEN', list) -- the first call: another type fails before any change
local story = {} -- the events of this call, field and value in turn

local function whole(number)
  return string.format('%.0f', number)
end

local function tell(kind, what)
  story[#story + 1] = kind
  story[#story + 1] = what
end

-- What this call answered when it ran before, or nil. A client repeats a call whose reply
-- was cut off under the same number; a call that Redis held back for long may even come
-- after the next one.
local function answered_before()
  local last = redis.call('GET', last_call)
  if not last then
    return nil
  end
  local number, answer = cmsgpack.unpack(last)
  if tonumber(ARGV[1]) > number then
    return nil
  end
  return answer
end

-- Writes the story of this call and remembers its answer.
local function close(answer, ended)
  if ended and pending == 0 and redis.call('ZCARD', leases) == 0 then
    tell('drained', '1')
    if redis.call('LLEN', drained) == 0 then
      redis.call('RPUSH', drained, '1')
    end
  end
  if #story > 0 then
    tell('pending', whole(pending))
    redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*', unpack(story))
  end
  redis.call('SET', last_call, cmsgpack.pack(tonumber(ARGV[1]), answer),
    'EX', CALL_KEPT_SECONDS)
end

-- Is this lease still in force?
local function is_live(lease_id)
  local deadline = redis.call('ZSCORE', leases, lease_id)
  return deadline and tonumber(deadline) > now
end

-- Ends a lease without completion. The item goes back to the head of the list, or to
-- `dead` once it has failed `max_attempts` times (0: never). `kind` is the event, and only
-- "release" does not count as a failure. Returns true if the item was given up.
local function give_back(kind, lease_id, reason, max_attempts)
  local item_id, attempt, worker = string.match(lease_id, '^(%d+)%-(%d+)@(.*)$')
  local item = redis.call('HGET', leased, lease_id)
  local kept = redis.call('HGET', tries, item_id)
  local record = kept and cjson.decode(kept) or { failed = 0, history = {} }
  record.attempt = tonumber(attempt)
  if kind ~= 'release' then
    record.failed = record.failed + 1
  end
  table.insert(record.history,
    { at = now, attempt = record.attempt, worker = worker, what = kind, reason = reason })
  if #record.history > HISTORY_KEPT then
    table.remove(record.history, 1)
  end
  redis.call('HSET', tries, item_id, cjson.encode(record))
  redis.call('ZREM', leases, lease_id)
  redis.call('HDEL', leased, lease_id)
  tell(kind, reason == '' and lease_id or lease_id .. ' ' .. reason)
  if max_attempts > 0 and record.failed >= max_attempts then
    redis.call('HSET', dead, item_id, item)
    redis.call('HINCRBY', counts, 'dead', 1)
    tell('dead', lease_id .. ' ' .. kind .. (reason == '' and '' or ': ' .. reason))
    return true
  end
  redis.call('LPUSH', list, item)
  redis.call('ZADD', requeued, 0, redis.sha1hex(item) .. ':' .. item_id .. '-' .. attempt)
  pending = pending + 1
  return false
end
