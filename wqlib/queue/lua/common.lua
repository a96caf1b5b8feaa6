--[[
  The ground that every script stands on; each of them includes it. A line `--include x` stands
  for the text of x.lua, whose head says which locals it TAKES, CHANGES and GIVES beside those that
  are declared here. (Pieces of text, because a function or a table costs as much as a command, in
  each call that makes one.)

  The items that wait lie in a plain Redis list, so that RPUSH fills the queue and LRANGE
  shows it. An item that is lent leaves the list and lies in `leased` until its lease ends.
  One that comes back goes to the head of the list; `requeued` remembers, by the digest of
  its bytes, which number and attempt it had. Equal items are alike, so it does no harm if
  an equal newcomer gets that number instead.

  When memory is short, Redis refuses a script's first write, unless it is one that frees
  memory; later writes it lets pass. So `put` begins with RPUSH and is refused as a whole,
  and the steps of a worker begin with ZREM or LPOP, so that a full queue can be worked off.

  KEYS[1]   list      items that wait; the queue's own name
  KEYS[2]   zset      lease id -> deadline, ms since the epoch
  KEYS[3]   hash      lease id -> item
  KEYS[4]   zset      "<sha1 of item>:<item id>-<attempt>", all with score 0
  KEYS[5]   hash      item id -> JSON {failed, attempt, history} of items that came back
  KEYS[6]   hash      item id -> item that was given up
  KEYS[7]   hash      counters, see snapshot.lua
  KEYS[8]   hash      item id -> result
  KEYS[9]   stream    events, see wqlib/events.py
  KEYS[10]  list      one element once the queue has drained; waiting workers block on it
  KEYS[11]  string    the last call of this client and what it answered, for an hour
  ARGV[1]   number of this call, which grows with each call of a client; one above a multiple of
            16 means that this call also tidies up
]]

local list, leases, leased, requeued, tries, dead, counts, results, events, drained, last_call =
  unpack(KEYS)

local VERSION = '1' -- of this arrangement of keys; a change that old workers misread needs another
local EVENTS_KEPT = 100000
local HOUSEKEEPING = 16
local HISTORY_KEPT = 20
local PREVIEW_BYTES = 64
local CALL_KEPT_SECONDS = 3600

local call = redis.call
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local pending = call('LLEN', list)
local entry = {} -- of this call in the event stream: field and value in turn
local ended = false -- did a lease end for good in this call? Then the queue may have drained.
