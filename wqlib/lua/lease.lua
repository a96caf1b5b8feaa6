--[[
  Completes the items of some leases and lends the next items, in one step: the heart of
  the queue. Leases that ran out are taken back first, a bounded number in each call.
  If one of the leases to complete is lost, nothing is lent.

  ARGV[2]  worker who asks
  ARGV[3]  how long a lease lasts, ms
  ARGV[4]  how many items to lend at most, 0 to 500
  ARGV[5]  failures after which an item is given up, 0: never
  ARGV[6]  lease id to complete                        \ in turn, for each
  ARGV[7]  "=" and the result to keep, or "" for none  / item to complete

  Returns {for each completion 1 or 0 (lost); {lease id, item, ...}; deadline of these
  leases, ms; items that wait; when nothing was lent, ms to the next deadline (-1: no item
  is leased either, unless some still wait)}
]]

local worker, lease_ms = ARGV[2], tonumber(ARGV[3])
local wanted, max_attempts = tonumber(ARGV[4]), tonumber(ARGV[5])

local before = answered_before()
if before then
  local lent = {}
  for _, lease_id in ipairs(before.lent) do
    local item = is_live(lease_id) and redis.call('HGET', leased, lease_id)
    if item then
      lent[#lent + 1] = lease_id
      lent[#lent + 1] = item
    end
  end
  return { before.completed, lent, before.deadline, pending, 0 }
end

local ended = false

-- Take back what ran out.
local first_deadline = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
if first_deadline and tonumber(first_deadline) <= now then
  local lost = redis.call('ZRANGEBYSCORE', leases, '-inf', whole(now),
    'LIMIT', 0, math.max(16, 2 * wanted))
  redis.call('HINCRBY', counts, 'expired', #lost)
  for i = #lost, 1, -1 do
    ended = give_back('expire', lost[i], '', max_attempts) or ended
  end
end

-- Complete.
local completed, live, named = {}, {}, {}
for i = 6, #ARGV, 2 do
  if is_live(ARGV[i]) and not named[ARGV[i]] then
    completed[#completed + 1] = 1
    live[#live + 1] = i
    named[ARGV[i]] = true
  else
    completed[#completed + 1] = 0
    wanted = 0
  end
end
if #live > 0 then
  redis.call('HINCRBY', counts, 'done', #live)
  for _, i in ipairs(live) do
    local lease_id = ARGV[i]
    redis.call('ZREM', leases, lease_id)
    redis.call('HDEL', leased, lease_id)
    local item_id, attempt = string.match(lease_id, '^(%d+)%-(%d+)@')
    if attempt ~= '1' then
      redis.call('HDEL', tries, item_id)
    end
    if ARGV[i + 1] ~= '' then
      redis.call('HSET', results, item_id, string.sub(ARGV[i + 1], 2))
    end
    tell('complete', lease_id)
  end
  ended = true
end

-- Lend.
local lent, lent_ids = {}, {}
local deadline = now + lease_ms
wanted = math.min(wanted, pending)
if wanted > 0 then
  redis.call('HINCRBY', counts, 'leases', wanted)
  local some_came_back = redis.call('ZCARD', requeued) > 0
  local deadlines = {}
  for _, item in ipairs(redis.call('LPOP', list, wanted)) do
    local item_id, attempt
    if some_came_back then
      local digest = redis.sha1hex(item)
      local known = redis.call('ZRANGEBYLEX', requeued,
        '[' .. digest .. ':', '(' .. digest .. ';', 'LIMIT', 0, 1)[1]
      if known then
        redis.call('ZREM', requeued, known)
        item_id, attempt = string.match(known, ':(%d+)%-(%d+)$')
        attempt = whole(attempt + 1)
      end
    end
    if not item_id then
      item_id, attempt = whole(redis.call('HINCRBY', counts, 'items', 1)), '1'
    end
    local lease_id = item_id .. '-' .. attempt .. '@' .. worker
    lent_ids[#lent_ids + 1] = lease_id
    lent[#lent + 1], lent[#lent + 2] = lease_id, item
    deadlines[#deadlines + 1], deadlines[#deadlines + 2] = whole(deadline), lease_id
    tell('lease', lease_id .. ' ' .. string.sub(item, 1, PREVIEW_BYTES))
  end
  redis.call('ZADD', leases, unpack(deadlines))
  redis.call('HSET', leased, unpack(lent))
  tell('until', whole(deadline))
  pending = pending - #lent_ids
end

-- Nothing to lend: say when the next lease would run out, so the caller can wait for that.
local wait_ms = -1
if #lent == 0 then
  first_deadline = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
  if first_deadline then
    wait_ms = math.max(0, first_deadline - now)
    redis.call('DEL', drained) -- from an earlier round; whoever waits, waits for the next
  end
end
close({ completed = completed, lent = lent_ids, deadline = deadline }, ended)
return { completed, lent, deadline, pending, wait_ms }
