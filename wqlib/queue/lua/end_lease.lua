--[[
  A function that ends a lease without completion. The item goes back to the head of the list, or
  to `dead` once it has failed `max_attempts` times (0: never). `kind` is the event, and only
  "release" does not count as a failure. Returns true if the item was given up.

  TAKES    nothing but what common gives
  CHANGES  entry, pending, ended  as it is called
  GIVES    end_lease
]]

local function end_lease(kind, lease_id, reason, max_attempts)
  call('ZREM', leases, lease_id)
  local item_id, attempt, worker = string.match(lease_id, '^(%d+)%-(%d+)@(.*)$')
  local item = call('HGET', leased, lease_id)
  local noted = call('HGET', tries, item_id)
  local record = noted and cjson.decode(noted) or { failed = 0, history = {} }
  record.attempt = tonumber(attempt)
  record.failed = record.failed + (kind == 'release' and 0 or 1)
  table.insert(record.history,
    { at = now, attempt = record.attempt, worker = worker, what = kind, reason = reason })
  if #record.history > HISTORY_KEPT then
    table.remove(record.history, 1)
  end
  call('HDEL', leased, lease_id)
  call('HSET', tries, item_id, cjson.encode(record))
  call('HINCRBY', counts, kind, 1)
  entry[#entry + 1] = kind
  entry[#entry + 1] = reason == '' and lease_id or lease_id .. ' ' .. reason
  if max_attempts > 0 and record.failed >= max_attempts then
    call('HSET', dead, item_id, item)
    entry[#entry + 1] = 'dead'
    entry[#entry + 1] = lease_id .. ' ' .. kind .. (reason == '' and '' or ': ' .. reason)
    ended = true
    return true
  end
  call('LPUSH', list, item)
  call('ZADD', requeued, 0, redis.sha1hex(item) .. ':' .. item_id .. '-' .. attempt)
  pending = pending + 1
  return false
end
